"""Darknet's .cfg: what its sections compute, by plain loops; a FormatError with its line for all that is malformed."""

import numpy as np
import pytest

import fastconv
from fastconv import layers as L
from fastconv.formats import FormatError
from fastconv.formats.darknet import load_darknet

NET = "[net]\nwidth=8\nheight=6\nchannels=2\n"


@pytest.fixture
def network(tmp_path):
    """network(text of the sections after [net]) -> Graph with weights drawn from a seed."""

    def build(text, net=NET):
        path = tmp_path / "a.cfg"
        path.write_text(net + text)
        return load_darknet(path, generator=np.random.default_rng(0))

    return build


X = np.random.default_rng(1).normal(size=(2, 2, 6, 8)).astype(np.float32)


def pooled(x, size, stride, padding):
    """Darknet's maxpool, element by element: the window of (i, j) begins at i * stride - padding / 2."""
    N, C, H, W = x.shape
    P, Q = (H + padding - size) // stride + 1, (W + padding - size) // stride + 1
    y = np.full((N, C, P, Q), -np.inf, x.dtype)
    for i, j, r, s in np.ndindex(P, Q, size, size):
        h, w = i * stride - padding // 2 + r, j * stride - padding // 2 + s
        if 0 <= h < H and 0 <= w < W:
            y[:, :, i, j] = np.maximum(y[:, :, i, j], x[:, :, h, w])
    return y


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (2, 1), (3, 2), (3, 1), (5, 1), (4, 3), (1, 2)])
def test_maxpool_pads_one_side_more(network, size, stride):
    model = network(f"[maxpool]\nsize={size}\nstride={stride}\n")
    np.testing.assert_array_equal(model(X), pooled(X, size, stride, size - 1))
    x = X[:, :, :5, :7]
    np.testing.assert_array_equal(model(x), pooled(x, size, stride, size - 1))


def test_maxpool_with_padding_given(network):
    model = network("[maxpool]\nsize=2\nstride=2\npadding=0\n")
    np.testing.assert_array_equal(model(X), pooled(X, 2, 2, 0))


def test_convolution(network):
    """groups, padding of half the filter, batch norm with Darknet's small eps, leaky with slope 0.1."""
    model = network("[conv]\nfilters=4\nsize=3\nstride=2\npad=1\ngroups=2\nbatch_normalize=1\nactivation=leaky\n")
    assert list(model.state_dict())[:2] == ["0.conv.weight", "0.norm.weight"]
    weight = model["0"]["conv"].weight.data
    y = fastconv.reference.conv2d(X, weight, stride=2, padding=1, groups=2) / np.sqrt(np.float32(1 + 1e-6))
    np.testing.assert_allclose(model(X), np.where(y > 0, y, 0.1 * y), atol=1e-6)
    plain = network("[convolutional]\nfilters=3\nsize=3\npadding=2\nactivation=linear\n")
    assert plain(X).shape == (2, 3, 8, 10) and "0.conv.bias" in plain.state_dict()
    assert isinstance(network("[convolutional]\n")["0"]["activation"], L.Sigmoid)  # Darknet's default


def test_route_joins_and_takes_groups(network):
    model = network(
        "[convolutional]\nfilters=4\nactivation=linear\n[convolutional]\nfilters=6\nactivation=linear\n"
        "[route]\nlayers=-1, 0\n[route]\nlayers=0,1\ngroups=2\ngroup_id=1\n[route]\nlayers=-2\n"
    )
    both = L.Graph(model.nodes, outputs=("0", "1", "2", "3", "4"))
    a, b, joined, groups, same = both(X)
    np.testing.assert_array_equal(joined, np.concatenate([b, a], axis=1))
    np.testing.assert_array_equal(groups, np.concatenate([a[:, 2:], b[:, 3:]], axis=1))
    np.testing.assert_array_equal(same, joined)


@pytest.mark.parametrize(
    ("before", "filters", "stride"), [(3, 3, 1), (2, 5, 1), (5, 2, 1), (4, 7, 2), (7, 4, 2)], ids=str
)
def test_shortcut_adds_what_both_have(network, before, filters, stride):
    """As Darknet's ResNets need it: channels that one side lacks count 0, of larger pictures every stride-th pixel."""
    model = network(
        f"[convolutional]\nfilters={before}\nactivation=linear\n"
        f"[convolutional]\nfilters={filters}\nsize=3\npad=1\nstride={stride}\nactivation=linear\n"
        "[shortcut]\nfrom=-2\nactivation=leaky\n"
    )
    a, b, y = L.Graph(model.nodes, outputs=("0", "1", "2"))(X)
    expected = b.copy()
    for k in range(min(before, filters)):
        expected[:, k] += a[:, k, ::stride, ::stride]
    np.testing.assert_allclose(y, np.where(expected > 0, expected, 0.1 * expected), atol=1e-6)


def test_the_rest(network):
    np.testing.assert_array_equal(network("[upsample]\nstride=2\n")(X), X.repeat(2, 2).repeat(2, 3))
    np.testing.assert_allclose(network("[avgpool]\n")(X)[:, :, 0, 0], X.mean((2, 3)), atol=1e-6)
    np.testing.assert_array_equal(network("[dropout]\nprobability=.3\n[cost]\ntype=sse\n")(X), X)
    y = network("[connected]\noutput=6\nactivation=relu\n[softmax]\ngroups=2\n")(X)
    np.testing.assert_allclose(y.reshape(2, 2, 3).sum(axis=2), 1, atol=1e-6)
    with_norm = network("[connected]\noutput=6\nbatch_normalize=1\nactivation=linear\n")
    assert isinstance(with_norm["0"]["norm"], L.BatchNorm1d) and with_norm(X).shape == (2, 6)


def test_crop_is_preprocessing(network):
    text = "[crop]\ncrop_height=4\ncrop_width=5\nflip=1\n[route]\nlayers=0\n[avgpool]\n"
    model = network(text, NET.replace("channels=2", "channels=3"))
    stated = model.preprocess
    assert stated.size == (4, 5) and stated.shorter_side == 6 and stated.mean == stated.std == (0.5, 0.5, 0.5)
    assert model(np.zeros((1, 3, 4, 5), np.float32)).shape == (1, 3, 1, 1)


HEAD = "[convolutional]\nfilters=14\nactivation=linear\n[yolo]\nmask=2,0\nanchors=1,2, 3,4, 5,6\nclasses=2\nnum=3\n"


def test_heads_are_the_outputs(network):
    model = network(HEAD + "[route]\nlayers=0\n" + HEAD.replace("2,0", "0,1"), NET.replace("channels=2", "channels=3"))
    assert model.outputs == ("1", "4") and model["1"].mask == (2, 0)
    assert model["1"].anchors == ((1, 2), (3, 4), (5, 6))
    assert model.preprocess.fit == "letterbox" and model.preprocess.size == (6, 8)


def test_windows_and_comments(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_bytes(
        b"\xef\xbb\xbf# made by hand\r\n[network]\r\nwidth = 8\r\nheight\t=6\r\n; end\r\n\r\n[max]\r\nstride=2"
    )
    assert fastconv.load(path)(np.zeros((1, 3, 6, 8), np.float32)).shape == (1, 3, 3, 4)


CONV = "[convolutional]\nfilters=2\nactivation=linear\n"


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("", None, "no section"),
        ("width=8\n", 1, "'width=8'"),
        ("[convolutional]\n", 1, "'[convolutional]'"),
        (NET, 1, "no section after it"),
        (NET + CONV + "[net]\n", 8, "'[net]'"),
        (NET + "[yolo\n", 5, "'[yolo'"),
        (NET + "[lstm]\n", 5, "'[lstm]'"),
        (NET + CONV + "stride\n", 8, "'stride'"),
        (NET + CONV + "stride=\n", 8, "'stride='"),
        (NET + CONV + "stride=1\nstride=1\n", 9, "'stride' again"),
        (NET + CONV + "dilation=2\n", 8, "the option 'dilation'"),
        (NET + CONV + "pad\0=1\n", 8, "a character"),
        *(
            (NET + CONV + f"size={value}\n", 8, f"size='{value}'")
            for value in ("0", "-3", "abc", "1e3", "1.5", "9" * 30)
        ),
        (NET + CONV + "size=1000000000\n", 8, "size='1000000000'"),
        (NET + CONV + "size=9\n", 5, "a window of 9"),
        (NET + CONV + "size=1,1\n", 8, "size with 2 values"),
        (NET + "[convolutional]\nfilters=0\n", 6, "filters='0'"),
        (NET + "[convolutional]\nactivation=ramp\n", 6, "activation='ramp'"),
        *((NET + CONV + f"groups={groups}\n", 8, "groups") for groups in (0, 3)),
        (NET + CONV + "stride=0\n", 8, "stride='0'"),
        *((NET + CONV + f"[route]\nlayers={to}\n", 9, f"layers={to}") for to in (-99, 1, 5, -2)),
        (NET + CONV + "[route]\n", 8, "no layers"),
        (NET + CONV + "[route]\nlayers=0\ngroups=2\ngroup_id=2\n", 11, "group_id='2'"),
        (NET + CONV + "[route]\nlayers=0\ngroups=3\n", 9, "2x6x8 from section 0"),
        (NET + CONV + "[maxpool]\nstride=2\n[route]\nlayers=0,1\n", 11, "2x3x4 from section 1"),
        *((NET + CONV + f"[shortcut]\nfrom={to}\nactivation=linear\n", 9, f"from={to}") for to in (-99, 1, 7)),
        (NET + CONV + "[upsample]\nstride=2\n[shortcut]\nfrom=0\nactivation=linear\n", 11, "2x6x8 from section 0"),
        (NET + "[connected]\noutput=3\nactivation=linear\n" + CONV, 8, "a vector of 3"),
        (NET + "[connected]\noutput=3\nactivation=linear\n[route]\nlayers=0\n[upsample]\n", 10, "a vector of 3"),
        (NET + CONV + "[crop]\ncrop_height=2\ncrop_width=2\n", 8, "it behind other sections"),
        (NET + "[maxpool]\nsize=2\nstride=2\npadding=3\n", 8, "padding='3'"),
        (NET + HEAD.replace("2,0", "2,3"), 9, "mask='3'"),
        (NET + HEAD.replace("2,0", "2,2"), 8, "6 numbers in anchors, mask (2, 2)"),
        (NET + HEAD.replace("5,6", "5"), 8, "5 numbers"),
        (NET + HEAD.replace("5,6", "5,nan"), 10, "anchors='nan'"),
        (NET + HEAD.replace("=14", "=15"), 8, "15 channels before it"),
        ("[net]\nwidth=9999999\nheight=1\n", 2, "width='9999999'"),
        ("[net]\nheight=1\n", 1, "no width"),
        ("[net]\nwidth=4000\nheight=4000\n[conv]\nfilters=60000\n", 4, "a result of 960,000,000,000"),
        (NET + "[connected]\noutput=65536\nactivation=linear\n" * 4, 1, "weights"),
        (NET + "[maxpool]\n" * 2001, 2004, "more than 2000 sections"),
    ],
)
def test_malformed(tmp_path, text, line, found):
    path = tmp_path / "bad.cfg"
    path.write_bytes(text.encode())
    with pytest.raises(FormatError) as refused:
        fastconv.load(path)
    assert found in refused.value.found and refused.value.path == str(path)
    place = None if refused.value.where is None else int(refused.value.where.split(",")[0].split()[1])
    assert place == line, refused.value


@pytest.mark.parametrize("data", [b"[net]\nwidth=8\xff\n", b"\x00" * 100, b"[net]" + b"x" * 2_000_000], ids=range(3))
def test_not_text(tmp_path, data):
    path = tmp_path / "bad.cfg"
    path.write_bytes(data)
    with pytest.raises(FormatError):
        fastconv.load(path)


def test_load_refuses_what_does_not_go_together(tmp_path):
    (tmp_path / "a.cfg").write_text(NET + CONV)
    with pytest.raises(TypeError, match="layers"):
        fastconv.load(tmp_path / "a.cfg", layers={})
    with pytest.raises(TypeError, match="weights"):
        fastconv.load(tmp_path / "a.safetensors", weights="a.weights")
    with pytest.raises(FormatError, match="a directory"):
        fastconv.load(tmp_path / "a.cfg", weights=tmp_path)
    with pytest.raises(FileNotFoundError):
        fastconv.load(tmp_path / "none.cfg")


WORDS = ["0", "-1", "1", "3", "2147483647", "2147483648", "4294967296", "9223372036854775807", "18446744073709551615"]


def test_mutations_give_a_network_or_a_format_error(tmp_path):
    """Lines dropped, doubled, swapped and cut, and numbers replaced by those that overflow; seeded."""
    generator = np.random.default_rng(5)
    path = tmp_path / "mutated.cfg"
    text = (
        NET + CONV + "stride=2\npad=1\nsize=3\nbatch_normalize=1\n[maxpool]\nsize=2\nstride=1\n[upsample]\nstride=2\n"
    )
    text += "[convolutional]\nfilters=4\n[shortcut]\nfrom=-1\nactivation=linear\n" + HEAD
    opened = refused = 0
    for _ in range(3000):
        lines = text.splitlines()
        for _ in range(generator.integers(1, 4)):
            at, kind = generator.integers(len(lines)), generator.integers(5)
            if kind == 0:
                del lines[at]
            elif kind == 1:
                lines.insert(generator.integers(len(lines)), lines[at])
            elif kind == 2:
                lines[at] = lines[at][: generator.integers(len(lines[at]) + 1)]
            elif "=" in lines[at]:
                lines[at] = lines[at].split("=")[0] + "=" + str(generator.choice(WORDS))
            else:
                lines[at] = "".join(generator.permutation(list(lines[at])))
        path.write_text("\n".join(lines))
        try:
            model = load_darknet(path)
            opened += 1
        except FormatError:
            refused += 1
            continue
        assert sum(p.data.size for p in model.parameters()) <= 1 << 28
    assert opened > 100 and refused > 1000
