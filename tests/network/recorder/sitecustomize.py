"""Python imports this at start when its folder is on PYTHONPATH: records attempts to leave the machine.

Every look-up or connection that isn't loopback is written to the file $BIGMODEL_NB_NETWORK_LOG, one
line each, and refused as if there were no network. Child processes inherit it.
"""

import os
import sys

_LOOK_UPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_TRAFFIC = {"socket.connect", "socket.sendto", "socket.sendmsg"}


def _is_loopback(host) -> bool:
    """Whether a name or address stays on this machine.

    >>> [_is_loopback(h) for h in ("localhost", "127.0.0.53", "::1", "", None, "0.0.0.0", "10.0.0.1", "example.org")]
    [True, True, True, True, True, True, False, False]
    """
    import ipaddress
    import socket

    name = host.decode() if isinstance(host, bytes) else host
    if not isinstance(name, str) or name in ("", "localhost", socket.gethostname()):
        return True  # no host at all: a netlink address is a pair of numbers
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _target(event: str, args: tuple):
    """The host that an audit event is about; None where it stays on the machine by its nature."""
    if event in _LOOK_UPS:
        return args[0]
    address = args[1]  # (socket, address)
    return address[0] if isinstance(address, tuple) else None  # a path: AF_UNIX


def _watch(event: str, args: tuple) -> None:
    if event not in _LOOK_UPS and event not in _TRAFFIC:
        return
    host = _target(event, args)
    if _is_loopback(host):
        return
    import errno
    import socket

    with open(_LOG, "a", encoding="utf-8") as log:
        log.write(f"{event} {host} (process {os.getpid()})\n")
    if event in _LOOK_UPS:
        raise socket.gaierror(socket.EAI_NONAME, "no network in this test")
    raise OSError(errno.ENETUNREACH, "no network in this test")


_LOG = os.environ.get("BIGMODEL_NB_NETWORK_LOG")
if _LOG:
    sys.addaudithook(_watch)
