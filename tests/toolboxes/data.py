"""Data in the formats of the toolboxes, made of a seed: blobs on noise."""

import json
import pickle
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (96, 80)
"""Width and height of a picture."""


def picture(rng, size=SIZE):
    """Return a picture, its mask, and the box around the blob in it."""
    width, height = size
    x0, y0 = rng.integers(4, width // 3), rng.integers(4, height // 3)
    w, h = rng.integers(24, width // 2), rng.integers(24, height // 2)
    mask = np.zeros((height, width), np.uint8)
    mask[y0 : y0 + h, x0 : x0 + w] = 1
    color = rng.integers(0, 256, 3)
    image = rng.integers(0, 90, (height, width, 3))
    image[mask == 1] = (image[mask == 1] + 2 * color) // 3
    box = [int(x) for x in (x0, y0, w, h)]
    return image.astype(np.uint8), mask, box


def save(array, path):
    """Write a picture, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def imagenet(folder, num=8):
    """``train`` and ``val``, pictures of two of a thousand classes."""
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for i in range(998):
            (folder / split / f'n1{i:07}').mkdir(parents=True, exist_ok=True)
        for i in range(num):
            name = ('n01440764', 'n01443537')[i % 2]
            save(picture(rng)[0], folder / split / name / f'{i}.JPEG')
        lines = [
            f'{("n01440764", "n01443537")[i % 2]}/{i}.JPEG {i % 2}\n'
            for i in range(num)
        ]
        meta = folder / 'meta' / f'{split}.txt'
        meta.parent.mkdir(exist_ok=True)
        meta.write_text(''.join(lines))


def ade(folder, num=8):
    """ADE20K: pictures and masks, whose classes begin at 1."""
    rng = np.random.default_rng(1)
    for split in ('training', 'validation'):
        for i in range(num):
            image, mask, _ = picture(rng)
            save(image, folder / 'images' / split / f'{i}.jpg')
            save(mask + 1, folder / 'annotations' / split / f'{i}.png')


def cityscapes(folder, num=8):
    """Cityscapes: pictures and masks of training's classes."""
    rng = np.random.default_rng(2)
    for split in ('train', 'val'):
        for i in range(num):
            image, mask, _ = picture(rng)
            name = f'town/town_{i:06}_000019'
            save(
                image,
                folder / 'leftImg8bit' / split / f'{name}_leftImg8bit.png',
            )
            save(
                mask,
                folder / 'gtFine' / split / f'{name}_gtFine_labelTrainIds.png',
            )


def coco(folder, num=8):
    """COCO: boxes, outlines, and the keypoints of a person."""
    rng = np.random.default_rng(3)
    for split in ('train2017', 'val2017'):
        images, annotations, persons = [], [], []
        for i in range(num):
            image, _, (x, y, w, h) = picture(rng)
            name = f'{i:012}.jpg'
            save(image, folder / split / name)
            images.append(
                dict(id=i, file_name=name, width=SIZE[0], height=SIZE[1])
            )
            outline = [x, y, x + w, y, x + w, y + h, x, y + h]
            annotations.append(
                dict(
                    id=i + 1,
                    image_id=i,
                    category_id=i % 2 + 1,
                    bbox=[x, y, w, h],
                    area=w * h,
                    iscrowd=0,
                    segmentation=[outline],
                )
            )
            points = rng.uniform(0, 1, (17, 2)) * (w, h) + (x, y)
            keypoints = [v for p in points for v in (*map(float, p), 2)]
            persons.append(
                dict(
                    annotations[-1],
                    category_id=1,
                    keypoints=keypoints,
                    num_keypoints=17,
                )
            )
        names = class_names()
        categories = [dict(id=i + 1, name=x) for i, x in enumerate(names)]
        person = [
            dict(
                id=1,
                name='person',
                keypoints=[str(k) for k in range(17)],
                skeleton=[],
            )
        ]
        for kind, found, classes in (
            ('instances', annotations, categories),
            ('person_keypoints', persons, person),
        ):
            path = folder / 'annotations' / f'{kind}_{split}.json'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                json.dumps(
                    dict(images=images, annotations=found, categories=classes)
                )
            )


def class_names():
    """Return the classes of COCO, as mmdet knows them."""
    try:
        from mmdet.datasets import CocoDataset
    except ImportError:
        return ['person', 'bicycle']
    return list(CocoDataset.METAINFO['classes'])


def pictures(folder, num=8):
    """Folders of pictures: plain, in halves, small beside large."""
    rng = np.random.default_rng(4)
    for split in ('train', 'val', 'test'):
        for i in range(num):
            image, mask, _ = picture(rng, (128, 128))
            small = image.reshape(32, 4, 32, 4, 3).mean((1, 3))
            save(image, folder / split / 'gt' / f'{i:04}.png')
            save(small.astype(np.uint8), folder / split / 'lq' / f'{i:04}.png')
            save(
                np.concatenate([image, image[::-1]], 1),
                folder / 'paired' / split / f'{i:04}.png',
            )
            save(mask * 255, folder / split / 'mask' / f'{i:04}.png')
            save(
                np.tile(image, (2, 2, 1)),
                folder / 'frames' / f'{i // 4:03}' / f'{i % 4:08}.png',
            )
            for side in 'AB':
                save(image, folder / f'{split}{side}' / f'{i:04}.png')


def ocr(folder, num=8):
    """MMOCR's own: the outline of a text, and pictures of words."""
    rng = np.random.default_rng(5)
    found, read = [], []
    for i in range(num):
        image, _, (x, y, w, h) = picture(rng)
        save(image, folder / f'{i}.jpg')
        outline = [x, y, x + w, y, x + w, y + h, x, y + h]
        found.append(
            dict(
                img_path=f'{i}.jpg',
                width=SIZE[0],
                height=SIZE[1],
                instances=[
                    dict(
                        bbox=[x, y, x + w, y + h],
                        bbox_label=0,
                        polygon=outline,
                        ignore=False,
                    )
                ],
            )
        )
        read.append(
            dict(img_path=f'{i}.jpg', instances=[dict(text=f'word{i}')])
        )
    categories = [dict(id=0, name='text')]
    for task, kind, rows in (
        ('textdet', 'TextDetDataset', found),
        ('textrecog', 'TextRecogDataset', read),
    ):
        about = dict(dataset_type=kind, task_name=task, category=categories)
        (folder / f'{task}.json').write_text(
            json.dumps(dict(metainfo=about, data_list=rows))
        )


def kinetics(folder, num=8):
    """Videos of sixteen frames, of two classes."""
    import cv2

    rng = np.random.default_rng(6)
    for split in ('train', 'val'):
        videos = folder / f'videos_{split}'
        videos.mkdir(parents=True, exist_ok=True)
        for i in range(num):
            code = cv2.VideoWriter_fourcc(*'mp4v')
            video = cv2.VideoWriter(str(videos / f'{i}.mp4'), code, 8, SIZE)
            for _ in range(16):
                video.write(picture(rng)[0])
            video.release()
        (folder / f'kinetics400_{split}_list_videos.txt').write_text(
            ''.join(f'{i}.mp4 {i % 2}\n' for i in range(num))
        )


def skeletons(folder, num=8):
    """NTU60: two persons of seventeen points, in a hundred frames."""
    rng = np.random.default_rng(7)
    split, annotations = {}, []
    for name in ('xsub_train', 'xsub_val'):
        split[name] = [f'{name}{i}' for i in range(num)]
        for i, key in enumerate(split[name]):
            points = rng.uniform(0, 80, (2, 100, 17, 2))
            annotations.append(
                dict(
                    frame_dir=key,
                    label=i % 2,
                    img_shape=SIZE[::-1],
                    original_shape=SIZE[::-1],
                    total_frames=100,
                    keypoint=points.astype(np.float16),
                    keypoint_score=np.ones((2, 100, 17), np.float16),
                )
            )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'ntu60_2d.pkl').open('wb') as file:
        pickle.dump(dict(split=split, annotations=annotations), file)


KINDS = {
    'imagenet': imagenet,
    'ade/ADEChallengeData2016': ade,
    'cityscapes': cityscapes,
    'coco': coco,
    'pictures': pictures,
    'ocr': ocr,
    'kinetics400': kinetics,
    'skeleton': skeletons,
}
"""By where the shipped configs look, in ``data/``."""


def make(folder: Path) -> None:
    """Make what is not there yet.

    Args:
        folder (Path): Gets a folder ``data``.
    """
    for name, kind in KINDS.items():
        mark = folder / 'data' / name / '.made'
        if not mark.exists():
            kind(mark.parent)
            mark.touch()
