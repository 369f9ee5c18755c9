"""What is where in the data folder of a control plane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.binaries import Binary


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one data folder."""

    data_dir: Path

    @property
    def credentials(self) -> Path:
        """The folder of keys and certificates."""
        return self.data_dir / "credentials"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.data_dir / "kubeconfig"

    @property
    def bin(self) -> Path:
        """A folder of links to all programs, whichever sources they came from."""
        return self.data_dir / "bin"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor itself has to say: nothing, unless it has a defect."""
        return self.data_dir / "supervisor.log"

    def log_file(self, binary: Binary) -> Path:
        """The log of one program."""
        return self.data_dir / f"{binary}.log"

    @property
    def etcd(self) -> Path:
        """The data of etcd: all that the cluster knows."""
        return self.data_dir / "etcd"

    @property
    def etcd_socket(self) -> Path:
        """Where etcd serves the API server."""
        return self.data_dir / "etcd.sock"

    def hold_file(self, binary: Binary) -> Path:
        """While this file exists, the supervisor does not start the program again."""
        return self.data_dir / f"{binary}.hold"

    def link_binaries(self, assets: Assets) -> None:
        """Fill `bin`."""
        self.bin.mkdir()
        for binary in Binary:
            (self.bin / binary).symlink_to(assets.path(binary).absolute())
