import numpy as np
import pytest
from PIL import Image

from mmamp.datasets import PairedFolderDataset
from mmamp.registry import DATASETS


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(path)


def pairs_of(dataset):
    items = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(i['img_path'], i['gt_img_path']) for i in items]


def test_pairs_by_name_whatever_the_extension(tmp_path):
    write(tmp_path, 'a/2.png', 'a/x/1.png', 'a/1.png')
    write(tmp_path, 'b/1.jpg', 'b/2.PNG', 'b/x/1.bmp')
    (tmp_path / 'a/notes.txt').write_text('')
    dataset = PairedFolderDataset(str(tmp_path), 'a', 'b')
    assert pairs_of(dataset) == [
        (str(tmp_path / 'a' / first), str(tmp_path / 'b' / second))
        for first, second in (
            ('1.png', '1.jpg'),
            ('2.png', '2.PNG'),
            ('x/1.png', 'x/1.bmp'),
        )
    ]
    assert dataset.metainfo['dataset_name'] == 'paired_folder'


def test_names_with_dots(tmp_path):
    write(tmp_path, 'a/1.0.png', 'a/1.1.png', 'b/1.0.png', 'b/1.1.png')
    assert len(PairedFolderDataset(str(tmp_path), 'a', 'b')) == 2


@pytest.mark.parametrize('folder', ['a', 'b'])
def test_without_a_partner(tmp_path, folder):
    write(tmp_path, 'a/1.png', 'b/1.png', f'{folder}/lonely.png')
    with pytest.raises(ValueError, match='1 pictures have no part') as error:
        PairedFolderDataset(str(tmp_path), 'a', 'b')
    assert str(tmp_path / folder / 'lonely.png') in str(error.value)


def test_many_without_a_partner(tmp_path):
    write(tmp_path, *(f'a/{i}.png' for i in range(12)), 'b/0.png')
    with pytest.raises(ValueError, match='11 pictures.* and 1 more'):
        PairedFolderDataset(str(tmp_path), 'a', 'b')


def test_two_of_one_name(tmp_path):
    write(tmp_path, 'a/1.png', 'b/1.png', 'b/1.jpg')
    with pytest.raises(ValueError, match=r'1\.jpg.*1\.png.*one name'):
        PairedFolderDataset(str(tmp_path), 'a', 'b')


def test_no_such_folder(tmp_path):
    write(tmp_path, 'a/1.png')
    with pytest.raises(FileNotFoundError) as error:
        PairedFolderDataset(str(tmp_path), 'a', 'b')
    assert repr(str(tmp_path / 'b')) in str(error.value)


def test_same_numbers_of_other_names(tmp_path):
    write(tmp_path, 'a/1.png', 'b/2.png')
    with pytest.raises(ValueError, match='2 pictures'):
        PairedFolderDataset(str(tmp_path), 'a', 'b')


def test_builds_from_a_config(tmp_path):
    write(tmp_path, 'a/1.png', 'b/1.png')
    dataset = DATASETS.build(
        dict(
            type='mmamp.PairedFolderDataset',
            data_root=str(tmp_path),
            source='a',
            target='b',
        )
    )
    assert len(dataset) == 1
