"""What setup.cfg cannot say: folders at the top level that the installed package carries inside it."""

from pathlib import Path
from shutil import copytree, ignore_patterns

from setuptools import setup
from setuptools.command.build_py import build_py

CARRIED = ("schemas", "expectations", "dags")
"""Found by `persona_pipeline.core.package_data.package_folder`, here or there."""


class Build(build_py):
    """Copies them beside the modules; an editable installation reads them where they are."""

    def run(self) -> None:
        """Build."""
        super().run()
        if not self.editable_mode:
            for name in CARRIED:
                target = Path(self.build_lib) / "persona_pipeline" / name
                copytree(name, target, dirs_exist_ok=True, ignore=ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": Build})
