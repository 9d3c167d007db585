"""Build the libraries of all systems from the C files beside; they are committed.

    pip install ziglang==0.17.1         the compiler: one package for every system
    python utils/detector/engines/native/build.py [--output FOLDER] [--check]
"""
import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS = ("-O3", "-ffp-contract=fast", "-fPIC", "-Wall", "-Werror", "-fvisibility=hidden")
# numbers in a vector, row threes in registers, and the processor that a kernel needs
X86 = {"kernel_512": (16, 12, "x86_64_v4-prefer_256_bit"), "kernel_256": (8, 6, "x86_64_v3")}
ARM = {"kernel_128": (4, 12, "generic")}
TARGETS = {"linux-x86_64.so": ("x86_64-linux-gnu.2.17", "x86_64_v2", X86),
           "linux-arm64.so": ("aarch64-linux-gnu.2.17", "generic", ARM),
           "windows-x86_64.dll": ("x86_64-windows-gnu", "x86_64_v2", X86),
           "macos-x86_64.dylib": ("x86_64-macos.13.0", "x86_64_v2", X86),
           "macos-arm64.dylib": ("aarch64-macos.13.0", "generic", ARM)}


SOURCES = ("kernel.h", "kernel.c", "operator.c")


def digest() -> str:
    """Of what the libraries are built from; stands beside them."""
    parts = [(HERE / name).read_bytes().replace(b"\r\n", b"\n") for name in SOURCES]
    return hashlib.sha256(b"".join([*parts, repr((FLAGS, TARGETS)).encode()])).hexdigest()


def compiler(target: str, *arguments: str) -> None:
    """Run zig's C compiler for a target."""
    subprocess.run([sys.executable, "-m", "ziglang", "cc", "-target", target, *arguments],
                   cwd=HERE, check=True)


def build(target: str, processor: str, kernels: dict, source: Path, output: Path,
          *linking: str) -> None:
    """Compile `source` and the kernels for a target, and link them into `output`."""
    with tempfile.TemporaryDirectory() as folder:
        objects = [f"{folder}/{name}.o" for name in ("main", *kernels)]
        compiler(target, *FLAGS, f"-mcpu={processor}", f"-I{HERE}", "-c", str(source),
                 "-o", objects[0])
        for path, (name, (lanes, group, needs)) in zip(objects[1:], kernels.items()):
            compiler(target, *FLAGS, f"-mcpu={needs}", f"-DNAME={name}", f"-DLANES={lanes}",
                     f"-DGROUP={group}", "-c", "kernel.c", "-o", path)
        compiler(target, *linking, *objects, "-o", f"{folder}/{output.name}")
        output.write_bytes(Path(folder, output.name).read_bytes())


def main(argv: list[str] | None = None) -> int:
    """Build every library."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "built",
                        help="folder of the libraries (default: built, beside this file)")
    parser.add_argument("--check", action="store_true",
                        help="build a program for each system that compares its kernels with plain "
                             "loops, instead")
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    for name, (target, processor, kernels) in TARGETS.items():
        if args.check:
            path = args.output / Path(name).with_suffix(".exe")
            build(target, processor, kernels, HERE / "check.c", path)
        else:
            path = args.output / name
            build(target, processor, kernels, HERE / "operator.c", path, "-shared", "-s")
    if not args.check:
        (args.output / "sources.sha256").write_text(digest() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
