"""Builds the one extension module: the Cython binding and the C kernels of src_c/, every target in it, chosen at run
time."""

import os
import sys
import sysconfig
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

SOURCES = ["src_c/dispatch.c", "src_c/parallel.c", "src_c/memory.c", "src_c/program.c"]
TARGETS = ["src_c/targets/baseline.c", "src_c/targets/avx2.c", "src_c/targets/avx512.c"]
HEADERS = sorted(str(p) for p in Path("src_c").rglob("*.h"))

# -ffp-contract=fast lets multiply-adds be fused; never -ffast-math, which changes subnormals for the whole process.
FLAGS = [
    "-O2",
    "-std=gnu11",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-Wno-psabi",
    "-g0",  # Python's own flags ask for debug information, several times the size of the code; symbols stay
]
WINDOWS = sys.platform == "win32"
# One wheel for CPython 3.11 and later, except for free-threaded builds, which have no limited API yet.
LIMITED_API = not sysconfig.get_config_var("Py_GIL_DISABLED")
# Homebrew's libomp, on arm64 and on x86-64: Apple's clang has OpenMP without its library.
LIBOMP = ("/opt/homebrew/opt/libomp", "/usr/local/opt/libomp")


class BuildKernels(build_ext):
    """Adds OpenMP where the compiler has it (else the build is serial, and says so) and compiles files in parallel."""

    def finalize_options(self):
        super().finalize_options()
        # MSVC has no vector types, and GCC for Windows keeps vectors on the stack where AVX cannot load them.
        if WINDOWS and self.compiler is None:
            self.compiler = "mingw32"
            os.environ.setdefault("CC", "clang")

    def get_libraries(self, extension):
        if not WINDOWS:
            return super().get_libraries(extension)
        # Setuptools names one version's library, with which an extension runs on that version alone.
        version = "3" if LIMITED_API else f"{sys.version_info.major}{sys.version_info.minor}t"
        return [*extension.libraries, f"python{version}"]

    def build_extensions(self):
        openmp = self.openmp_flags()
        if openmp is None:
            print("fastconv: the compiler has no OpenMP; the kernels will run on one thread", file=sys.stderr)
        for extension in self.extensions:
            compiling, linking = openmp or ([], [])
            extension.extra_compile_args += compiling
            extension.extra_link_args += linking
        compile_one = self.compiler.compile

        def compile_all(sources, **options):
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                results = pool.map(lambda source: compile_one([source], **options), sources)
                return [name for result in results for name in result]

        self.compiler.compile = compile_all
        super().build_extensions()

    def openmp_flags(self):
        """What a compilation and a link take for OpenMP, or None where a program with it cannot be built."""
        compiling, linking = ["-fopenmp"], ["-fopenmp"]
        if sys.platform == "darwin":
            found = [folder for folder in LIBOMP if Path(folder).is_dir()]
            compiling = ["-Xpreprocessor", "-fopenmp", *(f"-I{folder}/include" for folder in found)]
            linking = [*(f"-L{folder}/lib" for folder in found), "-lomp"]
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "openmp.c")
            source.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=compiling)
                self.compiler.link_executable(objects, str(Path(folder, "openmp")), extra_postargs=linking)
            except Exception:
                return None
        return compiling, linking


class Sources(sdist):
    """Adds the tests with all that they read, and leaves out the binding as Cython translated it: whoever builds has it
    translated for the Python of that day."""

    def make_distribution(self):
        for folder in ("tests", "benchmarks", ".ci", ".github"):
            self.filelist.recursive_include(folder, "*")
        for name in ("CHANGELOG.md", "CONTRIBUTING.md", ".clang-format", ".gitignore", ".pre-commit-config.yaml"):
            self.filelist.include(name)
        self.filelist.global_exclude("*.py[cod]")
        self.filelist.exclude("fastconv/_kernels.c")
        super().make_distribution()


macros = [("CYTHON_LIMITED_API", "1"), ("Py_LIMITED_API", "0x030B0000")] if LIMITED_API else []
if WINDOWS:
    macros.append(("MS_WIN64", "1"))  # Python's headers set it for MSVC alone
extension = Extension(
    "fastconv._kernels",
    ["fastconv/_kernels.pyx", *SOURCES, *TARGETS],
    include_dirs=["src_c"],
    depends=["fastconv/_kernels.pyx", *HEADERS, *sorted(map(str, Path("fastconv").glob("*.pxi")))],
    define_macros=macros,
    extra_compile_args=FLAGS + os.environ.get("FASTCONV_CFLAGS", "").split(),
    extra_link_args=os.environ.get("FASTCONV_LDFLAGS", "").split(),
    py_limited_api=LIMITED_API,
)
setup(
    ext_modules=cythonize([extension], language_level=3),
    cmdclass={"build_ext": BuildKernels, "sdist": Sources},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED_API else {},
)
