"""A file backend for S3, as a user's module registers one."""

import boto3
from botocore.exceptions import ClientError
from mmengine.fileio import BaseStorageBackend, register_backend


class Reads(BaseStorageBackend):
    """What MMEngine asks of any backend, and what checkpoints need."""

    def __init__(self, endpoint_url=None):
        self.client = boto3.client('s3', endpoint_url=endpoint_url)

    def place(self, path):
        """Bucket and key, as the client's arguments."""
        bucket, _, key = str(path).partition('://')[2].partition('/')
        return dict(Bucket=bucket, Key=key)

    def get(self, filepath):
        """Read bytes."""
        return self.client.get_object(**self.place(filepath))['Body'].read()

    def get_text(self, filepath, encoding='utf-8'):
        """Read text."""
        return self.get(filepath).decode(encoding)

    def put(self, obj, filepath):
        """Write bytes."""
        self.client.put_object(**self.place(filepath), Body=obj)

    def join_path(self, filepath, *filepaths):
        """As PetrelBackend does."""
        return '/'.join([str(filepath).rstrip('/'), *map(str, filepaths)])


@register_backend('s3.boto3', prefixes='s3', force=True)
class Boto3Backend(Reads):
    """The whole of it."""

    def isfile(self, filepath):
        """Ask for the object."""
        try:
            self.client.head_object(**self.place(filepath))
        except ClientError as error:
            if error.response['Error']['Code'] != '404':
                raise
            return False
        return True

    def isdir(self, filepath):
        """Ask for objects under it."""
        return any(True for _ in self.list_dir_or_file(filepath))

    def remove(self, filepath):
        """Remove the object."""
        self.client.delete_object(**self.place(filepath))

    def list_dir_or_file(
        self, dir_path, list_dir=True, list_file=True, suffix=None
    ):
        """Objects under a folder, not those further down."""
        place = self.place(f'{str(dir_path).rstrip("/")}/')
        bucket, prefix = place.values()
        pages = self.client.get_paginator('list_objects_v2').paginate(
            Bucket=bucket, Prefix=prefix, Delimiter='/'
        )
        for page in pages:
            for item in page.get('Contents', []):
                if item['Key'].endswith(suffix or ''):
                    yield item['Key'].removeprefix(prefix)


register_backend('plain.boto3', Reads, prefixes='plain')
