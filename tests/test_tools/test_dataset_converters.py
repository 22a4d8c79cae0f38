"""`tools/dataset_converters/`, on files like the published ones."""

import os
import pickle
import re
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmamp.datasets import ImageFolderDataset
from mmamp.datasets.converters import convert_cifar10, resize_pictures

TOOLS = Path(__file__).parents[2] / 'tools/dataset_converters'
NAMES = ['airplane', 'cat', 'dog']


@pytest.fixture
def run(environment, tmp_path, python):
    """``run('cifar10.py', ...)``: the command in a process of its own."""

    def run(script, *args, python=python):
        done = subprocess.run(
            [python, str(TOOLS / script), *map(str, args)],
            capture_output=True,
            text=True,
            env=environment(),
            cwd=tmp_path,
            timeout=120,
        )
        # torch 2.4 warns of what MMEngine imports, in two lines.
        done.stderr = re.sub(
            r'^\S+zero_optimizer\.py:\d+: .*\n  .*\n', '', done.stderr
        )
        return done

    return run


def cifar(folder, kind=bytes):
    """Six files of 4 pictures each, and the pictures by file."""

    def key(text):
        return text.encode() if kind is bytes else text

    folder.mkdir(parents=True)
    random = np.random.RandomState(0)
    pictures = {}
    for name in [f'data_batch_{i}' for i in range(1, 6)] + ['test_batch']:
        images = random.randint(0, 256, (4, 32, 32, 3)).astype(np.uint8)
        content = {
            key('data'): images.transpose(0, 3, 1, 2).reshape(4, -1),
            key('labels'): [0, 1, 2, 1],
            key('batch_label'): key(name),
        }
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        pictures[name] = images
    meta = {key('label_names'): [key(name) for name in NAMES]}
    (folder / 'batches.meta').write_bytes(pickle.dumps(meta, protocol=2))
    (folder / 'readme.html').write_text('')
    return pictures


def check_cifar(out, pictures):
    train = ImageFolderDataset(str(out / 'train'), with_labels=True)
    assert train.metainfo['classes'] == tuple(NAMES)
    assert len(train) == 20
    for part, files in (
        ('train', [f'data_batch_{i}' for i in range(1, 6)]),
        ('test', ['test_batch']),
    ):
        images = np.concatenate([pictures[file] for file in files])
        labels = [0, 1, 2, 1] * len(files)
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = out / part / NAMES[label] / f'{i:05}.png'
            np.testing.assert_array_equal(np.asarray(Image.open(path)), image)


class Anything:
    """Its pickle calls a function."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class TestCifar10:
    def test_command_on_the_archive(self, run, tmp_path):
        pictures = cifar(tmp_path / 'x/cifar-10-batches-py')
        with tarfile.open(tmp_path / 'cifar.tar.gz', 'w:gz') as archive:
            archive.add(tmp_path / 'x', '.')
        command = ('cifar10.py', 'cifar.tar.gz', 'out/cifar10')
        done = run(*command, python=sys.executable)
        assert done.returncode == 0, done.stderr
        assert "24 pictures in 'out/cifar10'" in done.stdout
        check_cifar(tmp_path / 'out/cifar10', pictures)
        again = run(*command)
        assert again.returncode == 2
        assert again.stderr.startswith('cifar10.py: error: ')
        assert '--force' in again.stderr
        assert len(again.stderr.splitlines()) == 1

    @pytest.mark.parametrize('kind', [bytes, str])
    @pytest.mark.parametrize('inner', ['', 'cifar-10-batches-py'])
    def test_extracted_folder(self, tmp_path, kind, inner):
        pictures = cifar(tmp_path / 'in' / inner, kind)
        assert convert_cifar10(tmp_path / 'in', tmp_path / 'out') == 24
        check_cifar(tmp_path / 'out', pictures)

    def test_force_overwrites(self, tmp_path):
        pictures = cifar(tmp_path / 'in')
        wrong = tmp_path / 'out/train/cat/00001.png'
        wrong.parent.mkdir(parents=True)
        wrong.write_text('no picture')
        with pytest.raises(FileExistsError, match='--force'):
            convert_cifar10(tmp_path / 'in', tmp_path / 'out')
        convert_cifar10(tmp_path / 'in', tmp_path / 'out', force=True)
        check_cifar(tmp_path / 'out', pictures)

    def test_a_pickle_that_would_run_something(self, tmp_path):
        cifar(tmp_path / 'in')
        evil = pickle.dumps(dict(data=Anything(tmp_path / 'run')), protocol=2)
        (tmp_path / 'in/test_batch').write_bytes(evil)
        with pytest.raises(ValueError, match='not loaded'):
            convert_cifar10(tmp_path / 'in', tmp_path / 'out')
        assert not (tmp_path / 'run').exists()
        assert not (tmp_path / 'out').exists()
        pickle.loads(evil)  # which is what it would have done
        assert (tmp_path / 'run').exists()

    @pytest.mark.parametrize('name', ['../cat', '', '..', 'a/b'])
    def test_a_class_that_is_no_folder(self, tmp_path, name):
        cifar(tmp_path / 'in')
        meta = pickle.dumps(dict(label_names=['dog', name]), protocol=2)
        (tmp_path / 'in/batches.meta').write_bytes(meta)
        with pytest.raises(ValueError, match='name the classes'):
            convert_cifar10(tmp_path / 'in', tmp_path / 'out')

    @pytest.mark.parametrize(
        'change',
        [
            dict(labels=[0, 1, 2, 3]),
            dict(labels=[0]),
            dict(data=np.zeros((4, 3072))),
            dict(data=np.zeros((4, 1024), np.uint8)),
        ],
    )
    def test_other_contents(self, tmp_path, change):
        cifar(tmp_path / 'in')
        good = dict(data=np.zeros((4, 3072), np.uint8), labels=[0, 1, 2, 1])
        batch = pickle.dumps({**good, **change}, protocol=2)
        (tmp_path / 'in/data_batch_3').write_bytes(batch)
        with pytest.raises(ValueError, match='data_batch_3 should hold'):
            convert_cifar10(tmp_path / 'in', tmp_path / 'out')

    def test_a_broken_file(self, tmp_path):
        cifar(tmp_path / 'in')
        file = tmp_path / 'in/test_batch'
        file.write_bytes(file.read_bytes()[:100])
        with pytest.raises(ValueError, match='cannot read test_batch'):
            convert_cifar10(tmp_path / 'in', tmp_path / 'out')

    def test_a_broken_archive(self, tmp_path):
        (tmp_path / 'cifar.tar.gz').write_bytes(b'\x1f\x8b no archive')
        with pytest.raises(ValueError, match='as a tar archive'):
            convert_cifar10(tmp_path / 'cifar.tar.gz', tmp_path / 'out')

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match='does not exist'):
            convert_cifar10(tmp_path / 'in', tmp_path / 'out')
        cifar(tmp_path / 'in')
        (tmp_path / 'in/data_batch_2').unlink()
        with pytest.raises(FileNotFoundError, match=r"\['data_batch_2'\]"):
            convert_cifar10(tmp_path / 'in', tmp_path / 'out')


def picture(path, width=40, height=20, colour=(200, 30, 90)):
    """A coloured square in the middle, black bars beside it."""
    img = np.zeros((height, width, 3), np.uint8)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    img[top : top + side, left : left + side] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(img).save(path)
    return path


def folder_of_three(root):
    picture(root / 'a.png')
    picture(root / 'b/1.JPG', 30, 60)
    picture(root / 'b/2.webp', 8, 8)


def pixels(path):
    return np.asarray(Image.open(path))


def written(out):
    return sorted(
        path.relative_to(out).as_posix()
        for path in out.rglob('*')
        if path.suffix in ('.png', '.jpg')
    )


class TestResize:
    def test_command_on_a_folder(self, run, tmp_path):
        folder_of_three(tmp_path / 'in')
        (tmp_path / 'in/b/broken.png').write_text('no picture')
        command = ('resize_folder.py', 'in', 'out', '--size', '16')
        done = run(*command, python=sys.executable)
        assert done.returncode == 0, done.stderr
        assert (
            "3 pictures written to 'out', 0 were there, 1 unr" in done.stdout
        )
        assert 'b/broken.png' in done.stderr
        assert written(tmp_path / 'out') == ['a.png', 'b/1.png', 'b/2.png']
        for name in written(tmp_path / 'out'):
            square = pixels(tmp_path / 'out' / name)
            assert square.shape == (16, 16, 3)
            # Nothing of the bars, up to the blur of JPEG and WebP.
            difference = square.astype(int) - (200, 30, 90)
            assert np.abs(difference).max() < 40
        listed = (tmp_path / 'out/unreadable.txt').read_text()
        assert listed.startswith('b/broken.png\tUnidentifiedImageError')
        again = run(*command, '--workers', '1')
        assert '0 pictures written' in again.stdout
        assert '3 were there' in again.stdout
        refused = run(*command[:-1], '8')
        assert refused.returncode == 2
        assert refused.stderr.startswith('resize_folder.py: error: ')
        assert '--force' in refused.stderr
        assert len(refused.stderr.splitlines()) == 1

    def test_nothing_readable_is_a_failure(self, run, tmp_path):
        (tmp_path / 'in').mkdir()
        (tmp_path / 'in/a.png').write_text('no picture')
        done = run('resize_folder.py', 'in', 'out', '--size', '16')
        assert done.returncode == 1

    def test_zip(self, tmp_path):
        folder_of_three(tmp_path / 'in')
        with zipfile.ZipFile(tmp_path / 'in.zip', 'w') as archive:
            for path in sorted((tmp_path / 'in').rglob('*.*')):
                archive.write(path, path.relative_to(tmp_path))
            archive.writestr('in/ffhq.json', '{}')
            archive.writestr('__MACOSX/in/._a.png', 'no picture')
        out = tmp_path / 'out'
        result = resize_pictures(tmp_path / 'in.zip', out, 8, workers=2)
        assert (result.written, result.unreadable) == (3, [])
        assert written(out) == ['in/a.png', 'in/b/1.png', 'in/b/2.png']

    @pytest.mark.parametrize('name', ['../a.png', '/a.png', 'b\\..\\a.png'])
    def test_zip_that_leads_elsewhere(self, tmp_path, name):
        with zipfile.ZipFile(tmp_path / 'in.zip', 'w') as archive:
            archive.writestr(name, b'')
        with pytest.raises(ValueError, match='leads out'):
            resize_pictures(tmp_path / 'in.zip', tmp_path / 'out', 8)
        assert not (tmp_path / 'out').exists()

    def test_lmdb(self, tmp_path):
        """As LSUN is: encoded pictures under hexadecimal keys."""
        lmdb = pytest.importorskip('lmdb')
        path = picture(tmp_path / 'x.webp')
        with (
            lmdb.open(str(tmp_path / 'lsun'), map_size=1 << 20) as env,
            env.begin(write=True) as transaction,
        ):
            for key in (b'ab12', b'abff', b'c012'):
                transaction.put(key, path.read_bytes())
            transaction.put(b'd012', b'no picture')
        out = tmp_path / 'out'
        result = resize_pictures(tmp_path / 'lsun', out, 8, workers=2)
        assert written(out) == ['ab/ab12.png', 'ab/abff.png', 'c0/c012.png']
        assert [name for name, _ in result.unreadable] == ['d0/d012']

    def test_lmdb_without_the_package(self, tmp_path, monkeypatch):
        (tmp_path / 'lsun').mkdir()
        (tmp_path / 'lsun/data.mdb').write_text('')
        monkeypatch.setitem(sys.modules, 'lmdb', None)
        with pytest.raises(ImportError, match='pip install lmdb'):
            resize_pictures(tmp_path / 'lsun', tmp_path / 'out', 8)

    def test_jpeg(self, tmp_path):
        picture(tmp_path / 'in/a.png')
        out = tmp_path / 'out'
        resize_pictures(tmp_path / 'in', out, 8, image_format='jpg')
        assert written(out) == ['a.jpg']
        with Image.open(out / 'a.jpg') as image:
            assert (image.format, image.size) == ('JPEG', (8, 8))

    def test_nothing_is_aliased(self, tmp_path):
        img = np.zeros((63, 63), np.uint8)
        img[:, 1::3] = 255
        (tmp_path / 'in').mkdir()
        Image.fromarray(img).save(tmp_path / 'in/a.png')
        resize_pictures(tmp_path / 'in', tmp_path / 'out', 21)
        square = pixels(tmp_path / 'out/a.png')[3:-3, 3:-3]
        assert np.abs(square.astype(int) - 85).max() <= 3

    def test_turned_as_exif_says(self, tmp_path):
        img = np.zeros((8, 8, 3), np.uint8)
        img[:4] = 255
        exif = Image.Exif()
        exif[0x0112] = 3  # upside down
        (tmp_path / 'in').mkdir()
        Image.fromarray(img).save(tmp_path / 'in/a.png', exif=exif)
        resize_pictures(tmp_path / 'in', tmp_path / 'out', 8)
        assert pixels(tmp_path / 'out/a.png')[:, 0, 0].tolist() == (
            [0] * 4 + [255] * 4
        )


class TestResizeAgain:
    def test_goes_on_where_it_has_ended(self, tmp_path):
        folder_of_three(tmp_path / 'in')
        out = tmp_path / 'out'
        resize_pictures(tmp_path / 'in', out, 8)
        (out / 'b/1.png').unlink()
        (out / 'b/2.png').rename(out / 'b/2.png.part')  # cut short
        kept = (out / 'a.png').stat().st_mtime_ns
        result = resize_pictures(tmp_path / 'in', out, 8)
        assert (result.written, result.kept) == (2, 1)
        assert not (out / 'unreadable.txt').exists()
        assert (out / 'a.png').stat().st_mtime_ns == kept
        assert written(out) == ['a.png', 'b/1.png', 'b/2.png']
        assert not list(out.rglob('*.part'))

    def test_what_was_mended_is_unreadable_no_more(self, tmp_path):
        broken = picture(tmp_path / 'in/a.png')
        whole = broken.read_bytes()
        broken.write_text('no picture')
        out = tmp_path / 'out'
        resize_pictures(tmp_path / 'in', out, 8)
        assert (out / 'unreadable.txt').exists()
        broken.write_bytes(whole)
        assert resize_pictures(tmp_path / 'in', out, 8).written == 1
        assert not (out / 'unreadable.txt').exists()

    def test_other_settings_are_refused(self, tmp_path):
        picture(tmp_path / 'in/a.png')
        out = tmp_path / 'out'
        resize_pictures(tmp_path / 'in', out, 8)
        for kwargs in (dict(size=9), dict(size=8, image_format='jpg')):
            with pytest.raises(FileExistsError, match="'size': 8"):
                resize_pictures(tmp_path / 'in', out, **kwargs)
        resize_pictures(tmp_path / 'in', out, 9, force=True)
        assert pixels(out / 'a.png').shape == (9, 9, 3)

    def test_a_forced_run_that_is_cut_short_leaves_no_mixture(
        self, tmp_path, monkeypatch
    ):
        folder_of_three(tmp_path / 'in')
        out = tmp_path / 'out'
        resize_pictures(tmp_path / 'in', out, 8)
        monkeypatch.setattr(
            'mmamp.datasets.converters.resize.ProcessPoolExecutor', None
        )
        with pytest.raises(TypeError):
            resize_pictures(tmp_path / 'in', out, 9, force=True)
        monkeypatch.undo()
        assert resize_pictures(tmp_path / 'in', out, 9).written == 3

    def test_a_folder_of_something_else_is_refused(self, tmp_path):
        picture(tmp_path / 'in/a.png')
        mine = tmp_path / 'out/mine.txt'
        mine.parent.mkdir()
        mine.write_text('dear')
        with pytest.raises(FileExistsError, match='--force'):
            resize_pictures(tmp_path / 'in', tmp_path / 'out', 8)
        assert sorted(mine.parent.iterdir()) == [mine]
        resize_pictures(tmp_path / 'in', tmp_path / 'out', 8, force=True)
        assert mine.read_text() == 'dear'


class TestResizeMistakes:
    @pytest.mark.parametrize(
        ('kwargs', 'message'),
        [
            (dict(size=0), 'size must be an int >= 1.*0'),
            (dict(size=8, workers=0), 'workers must be an int >= 1.*0'),
            (dict(size=8, image_format='gif'), "'gif'.*'png', 'jpg'"),
        ],
    )
    def test_arguments(self, tmp_path, kwargs, message):
        picture(tmp_path / 'in/a.png')
        with pytest.raises(ValueError, match=message):
            resize_pictures(tmp_path / 'in', tmp_path / 'out', **kwargs)
        assert not (tmp_path / 'out').exists()

    def test_two_of_one_name(self, tmp_path):
        picture(tmp_path / 'in/a.png')
        picture(tmp_path / 'in/a.jpg')
        with pytest.raises(ValueError, match=r"'a\.jpg' and 'a\.png'"):
            resize_pictures(tmp_path / 'in', tmp_path / 'out', 8)

    @pytest.mark.parametrize('out', ['in', 'in/out'])
    def test_into_the_source(self, tmp_path, out):
        picture(tmp_path / 'in/a.png')
        with pytest.raises(ValueError, match='folder elsewhere'):
            resize_pictures(tmp_path / 'in', tmp_path / out, 8)

    def test_no_source(self, tmp_path):
        with pytest.raises(FileNotFoundError, match='does not exist'):
            resize_pictures(tmp_path / 'in', tmp_path / 'out', 8)
        (tmp_path / 'in').write_text('')
        with pytest.raises(ValueError, match='zip'):
            resize_pictures(tmp_path / 'in', tmp_path / 'out', 8)


def test_ctrl_c_leaves_whole_pictures(environment, tmp_path):
    """To all processes, as a terminal sends it; then the command goes on."""
    pixels = np.random.RandomState(0).randint(0, 256, (600, 600, 3), np.uint8)
    (tmp_path / 'in').mkdir()
    for i in range(300):
        # Each takes a moment to write.
        Image.fromarray(pixels).save(tmp_path / f'in/{i:03}.bmp')
    command = [sys.executable, str(TOOLS / 'resize_folder.py'), 'in', 'out']
    command += ['--size', '512', '--workers', '2']
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    out = tmp_path / 'out'
    deadline = time.time() + 60
    while len([*out.glob('*.png')]) < 10 and time.time() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == (
        'Interrupted. The pictures that are there are whole; the same command '
        'goes on.\n'
    )
    written = [*out.glob('*.png')]
    assert 10 <= len(written) < 300
    assert [*out.glob('*.part')] == []
    for path in written:
        Image.open(path).load()
