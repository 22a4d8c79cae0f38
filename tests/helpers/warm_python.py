"""A Python that has imported torch and the rest already.

Importing them takes seconds, each process of a test's would do it again, and
most have something else to prove. ``warm_python(folder)`` starts a server, and
gives an executable that is called as ``python`` is: ``-m``, ``-c``, a script,
``-W``, ``-u``. What it is told to run is run by a process of its own, a fork
of the server, in its environment, working directory, files and process group;
its exit code or signal, and the signals it gets, are handed on. A Python with
other options, or with variables that it reads as it starts, is the usual one.

Nothing of mmamp is in the server: each process imports that itself.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
import warnings

PRELOADED = (
    *('torch', 'torch.distributed', 'torch.distributed.fsdp'),
    *('torch.distributed.elastic.multiprocessing.errors', 'torch._dynamo'),
    *('torch.distributed.run', 'torch.profiler', 'torch.distributed.tensor'),
    *('numpy', 'scipy.linalg', 'cv2', 'PIL.Image', 'PIL.features'),
    *('mmengine.runner', 'mmengine.hub', 'mmcv', 'mmcv.cnn'),
    *('mmcv.transforms', 'libcst', 'pytest', 'setuptools'),
    *('matplotlib.pyplot', 'matplotlib.backends.backend_agg'),
    *('sklearn.datasets', 'sklearn.model_selection'),
    *('rich.console', 'rich.table', 'rich.progress'),
)
READ_AT_START = ('PYTHONHASHSEED', 'PYTHONSTARTUP', 'PYTHONHOME')
HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@contextlib.contextmanager
def warm_python(folder):
    """Have a server; the path of its executable.

    Args:
        folder (Path): Gets the executable.
    """
    # Paths of sockets are short.
    address = os.path.join(tempfile.mkdtemp(prefix='mmamp'), 's')
    variables = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    server = subprocess.Popen(
        [sys.executable, __file__, 'serve', address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=variables,
    )
    assert server.stdout.readline() == b'listens\n'
    executable = folder / 'python'
    client = [sys.executable, '-IS', __file__, 'run', address]
    executable.write_text(f'#!/bin/sh\nexec {shlex.join(client)} "$@"\n')
    executable.chmod(0o755)
    try:
        yield str(executable)
    finally:
        # Which ends it.
        server.stdin.close()
        server.wait()


# What the executable does.


def split(argv):
    """Options, kind and the rest of a command line; None for real Pythons."""
    warns, argv = [], list(argv)
    while argv and argv[0].startswith('-'):
        option = argv.pop(0)
        if option == '-W' and argv:
            warns.append(argv.pop(0))
        elif option in ('-m', '-c') and argv:
            return warns, option, argv
        elif option != '-u':
            return None
    return (warns, 'file', argv) if argv else None


def run_in_server(address, argv):
    """Have the server run it, and end as it ends."""
    told = split(argv)
    if told is None or any(x in os.environ for x in READ_AT_START):
        os.execv(sys.executable, [sys.executable, *argv])
    child, early = [], []
    leads = os.getpgrp() == os.getpid()

    def hand_on(number, frame=None):
        if not child:
            early.append(number)
            return
        with contextlib.suppress(ProcessLookupError):
            # Of a group that is signalled as a whole, this is all there is.
            (os.killpg if leads else os.kill)(child[0], number)

    for number in HANDED_ON:
        signal.signal(number, hand_on)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    request = dict(told=told, cwd=os.getcwd(), env=dict(os.environ))
    socket.send_fds(connection, [b'.'], [0, 1, 2])
    connection.sendall(json.dumps(request).encode() + b'\n')
    lines = connection.makefile()
    child.append(int(lines.readline()))
    for number in early:
        hand_on(number)
    code = int(lines.readline())
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        signal.pause()
    os._exit(code)


# What the server does.


def serve(address):
    """Fork for each that connects, until stdin is closed."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.write(1, b'listens\n')
    for name in PRELOADED:
        # Another version has it not, or it is not installed.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    importlib.import_module('kept_results').install()
    with contextlib.suppress(KeyError):
        sys.modules['sklearn.datasets'].load_digits()
    # This folder, which a Python of another script's has not.
    del sys.path[0]
    # Forks share what there is as long as they do not go through it.
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        if 0 in ready:
            os.unlink(address)
            os.rmdir(os.path.dirname(address))
            os._exit(0)
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            return keep(connection)
        connection.close()


def keep(connection):
    """Fork once more, and tell how that process ends; it gets the request."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    request = json.loads(connection.makefile().readline())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        connection.close()
        os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return request
    for file in (0, 1, 2, *files):
        os.close(file)
    connection.sendall(b'%d\n' % child)
    ends = os.pidfd_open(child)
    if ends not in select.select([connection, ends], [], [])[0]:
        # Who wanted it is no more, killed in a way that cannot be handed on.
        os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(OSError):
        connection.sendall(b'%d\n' % code)
    os._exit(0)


def become(told, cwd, env):
    """Be what Python is when it begins to run a command; its main module."""
    import numpy as np

    warns, kind, argv = told
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    np.random.seed()
    # Before site-packages, as PYTHONPATH is.
    paths = [x for x in env.get('PYTHONPATH', '').split(os.pathsep) if x]
    first = (
        os.path.dirname(os.path.realpath(argv[0])) if kind == 'file' else ''
    )
    first = os.getcwd() if kind == '-m' else first
    sys.path[:0] = [first, *paths]
    importlib.invalidate_caches()
    sys.warnoptions[:] = warns
    for option in warns:
        warnings._processoptions([option])
    main = types.ModuleType('__main__')
    main.__builtins__ = __builtins__
    main.__spec__ = None
    sys.modules['__main__'] = main
    if kind == '-m':
        sys.argv = argv
        return lambda: runpy._run_module_as_main(argv[0])
    sys.argv = argv if kind == 'file' else ['-c', *argv[1:]]
    name, code = '<string>', argv[0]
    if kind == 'file':
        name = main.__file__ = os.path.abspath(argv[0])
        try:
            with open(name, 'rb') as file:
                code = file.read()
        except OSError as error:
            sys.exit(f"can't open file {name!r}: {error}")
    compiled = compile(code, name, 'exec')
    return lambda: exec(compiled, main.__dict__)


def end(main):
    """Run it, and end as Python does, but for taking all modules apart."""
    code = 0
    try:
        main()
    except SystemExit as error:
        code = error.code
        if not isinstance(code, int | None):
            print(code, file=sys.stderr)
            code = 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = -isinstance(error, KeyboardInterrupt) or 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for file in (sys.stdout, sys.stderr):
        try:
            if not file.closed:
                file.flush()
        except OSError:
            code = 120
    if code == -1:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit((code or 0) & 0xFF)


if __name__ == '__main__':
    if sys.argv[1] == 'run':
        run_in_server(sys.argv[2], sys.argv[3:])
    end(become(**serve(sys.argv[2])))
