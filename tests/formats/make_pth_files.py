"""Makes pth_files/: what torch.save of PyTorch 2.13.0 writes. Run it by hand where torch is installed; the tests
read the files, know what is in them, and never import torch."""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

FOLDER = Path(__file__).parent / "pth_files"
CUBE = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)

STATE = OrderedDict(
    dense=CUBE,
    permuted=CUBE.permute(2, 0, 1),
    part=CUBE[1, 1:],
    double=CUBE.double() / 3,
    half=CUBE[0].half() / 4,
    bfloat16=CUBE[0].bfloat16() / 4,
    int64=CUBE[0].long() - 2**40,
    int32=CUBE[0].int() - 5,
    int16=CUBE[0].short() - 5,
    int8=CUBE[0].char() - 5,
    uint8=CUBE[0].byte(),
    bool=CUBE[0] > 3,
    parameter=nn.Parameter(CUBE[0, 0]),
    scalar=torch.tensor(3.5),
    empty=torch.empty(0, 5),
)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    torch.save(STATE, FOLDER / "archive.pth")
    torch.save(STATE, FOLDER / "stream.pth", _use_new_zipfile_serialization=False)
    for protocol in (4, 5):
        torch.save(STATE, FOLDER / f"archive_{protocol}.pth", pickle_protocol=protocol)
        torch.save(
            STATE, FOLDER / f"stream_{protocol}.pth", pickle_protocol=protocol, _use_new_zipfile_serialization=False
        )
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 1, 2, 2)).sum().backward()
    optimizer.step()
    checkpoint = {"epoch": 3, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), "best": 0.5}
    torch.save(checkpoint, FOLDER / "checkpoint.pth")
    torch.save(checkpoint, FOLDER / "checkpoint_stream.pth", _use_new_zipfile_serialization=False)
    torch.save(model, FOLDER / "whole_model.pth")


if __name__ == "__main__":
    main()
