"""Installs what the benchmarks need and the machine does not have, as script/test does (script/lib.sh has the lists)."""
import os
import shutil
import subprocess
import sys

from procs import BenchError

LISTS = "$PT_PACKAGES_BUILD $PT_PACKAGES_BENCH"


def install(root, pg_config):
    """Returns the pg_config to build with: the one that was asked for, else that of what is installed now."""
    run = subprocess.run(["bash", "-c", f". {root}/script/lib.sh && install_postgresql >&2 && install_packages {LISTS} >&2 && pg_config_path"],
                         stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        raise BenchError("what is missing could not be installed (--no-install goes on without)")
    return pg_config if shutil.which(pg_config) else run.stdout.strip()


def prepare(options, root):
    """Before anything else of a run; may end the program."""
    if options.no_install:
        return
    try:
        options.pg_config = install(root, options.pg_config)
    except BenchError as e:
        print(os.path.basename(sys.argv[0]) + ":", e, file=sys.stderr)
        sys.exit(1)
