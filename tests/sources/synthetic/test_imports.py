import subprocess
import sys


def test_importing_the_source_loads_nothing_heavy() -> None:
    code = "import sys, persona_pipeline.sources.synthetic; print(*(set(sys.modules) & {'torch', 'pyspark', 'scipy', 'pandas'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
