"""A layer of files whose n-th call to the system fails, or is the last that the process makes.
It must never let a call through after Killed: a process that is gone does nothing."""

import errno
import os

from fastconv.formats.atomic import FileLayer


class Killed(BaseException):
    """The process is gone: nothing after it takes effect."""


class FailingFiles(FileLayer):
    """The n-th call fails with `error`; after Killed all later calls do nothing either."""

    def __init__(self, n, error=Killed, half=False):
        self.left, self.error, self.half, self.dead = n, error, half, False

    def _pass(self, name, *arguments):
        if self.dead:
            raise self.error()
        self.left -= 1
        if self.left == 0:
            if self.half and name == "write":
                descriptor, piece = arguments
                super().write(descriptor, memoryview(piece)[: len(piece) // 2])
            elif self.half:
                result = getattr(super(), name)(*arguments)
                if name == "create":
                    os.close(result)
            self.dead = self.error is Killed
            raise self.error(errno.ENOSPC, "no space left") if self.error is OSError else self.error()
        return getattr(super(), name)(*arguments)


for _name in ("create", "write", "set_mode", "sync", "replace", "sync_folder", "remove"):
    setattr(FailingFiles, _name, lambda self, *a, _name=_name: self._pass(_name, *a))
