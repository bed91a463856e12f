"""A Docker daemon of a test's own, which it may stop, kill and start again.

It leaves the machine's own daemon alone: it does not touch the firewall, so that
containers here have no way out, and it brings its own default bridge, because a
daemon that is told to have none removes ``docker0``, whosesoever that is.
Containers outlive it (``live-restore``), unless it was started to the contrary.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import docker
import psutil

_READY_S = 60.0


_BRIDGE = "tmpenv-own"


class OwnDocker:
    """Needs root; one at a time."""

    def __init__(self, directory: Path) -> None:
        self.url = f"unix://{directory}/d.sock"
        self._directory = directory
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self, *flags: str, live_restore: bool = True) -> None:
        """Start the daemon, with further flags; return when it answers."""
        place = self._directory
        self._make_bridge()
        # Left by a kill; a containerd that nobody has reaped would be taken for a living one.
        (place / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
        with (place / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [
                    *("dockerd", "--host", self.url, "--data-root", place / "data"),
                    *("--exec-root", place / "exec", "--pidfile", place / "pid"),
                    *("--bridge", _BRIDGE, "--iptables=false", "--ip6tables=false"),
                    f"--live-restore={str(live_restore).lower()}",
                    *flags,
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_S
        while not self._answers():
            assert self._daemon.poll() is None, (place / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "dockerd does not answer"
            time.sleep(0.1)

    def load(self, *images: str) -> None:
        """Copy images from the machine's own daemon."""
        saved = subprocess.run(["docker", "save", *images], check=True, capture_output=True)
        command = ["docker", "--host", self.url, "load", "--quiet"]
        subprocess.run(command, input=saved.stdout, check=True, capture_output=True)

    def kill(self) -> None:
        """End the daemon as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the daemon as an operator would."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Let the daemon hang: it accepts, and answers nothing."""
        assert self._daemon
        self._daemon.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused daemon go on."""
        assert self._daemon
        self._daemon.send_signal(signal.SIGCONT)

    def clear(self) -> None:
        """Remove everything that was run here, and end the daemon."""
        if self._daemon is None:
            self.start()
        client = docker.DockerClient(self.url)
        for container in client.containers.list(all=True):
            container.remove(force=True, v=True)
        client.networks.prune()
        client.close()
        self.stop()
        self._end_shims()
        self._unmount()
        subprocess.run(["ip", "link", "del", _BRIDGE], check=True)

    def _end(self, how: signal.Signals) -> None:
        if self._daemon:
            os.kill(self._daemon.pid, how)
            self._daemon.wait(_READY_S)
            self._daemon = None

    def _make_bridge(self) -> None:
        if not Path("/sys/class/net", _BRIDGE).exists():
            subprocess.run(["ip", "link", "add", _BRIDGE, "type", "bridge"], check=True)
            subprocess.run(["ip", "addr", "add", "198.18.0.1/24", "dev", _BRIDGE], check=True)

    def _end_shims(self) -> None:
        """End the shims that a daemon leaves when it ends together with its containers."""
        address = str(self._directory / "exec" / "containerd" / "containerd.sock")
        for process in psutil.process_iter(["cmdline"]):
            if address in (process.info["cmdline"] or ()):
                with suppress(psutil.NoSuchProcess):
                    process.kill()

    def _unmount(self) -> None:
        """Take down the mounts that a killed daemon leaves."""
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted(mounts, reverse=True):
            if mount.startswith(f"{self._directory}/"):
                subprocess.run(["umount", "--lazy", mount], check=False)

    def _answers(self) -> bool:
        asked = ["docker", "--host", self.url, "version"]
        return subprocess.run(asked, check=False, capture_output=True).returncode == 0
