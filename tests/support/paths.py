"""Where things lie in the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases"
CHART = ROOT / "charts" / "dpd"
EXAMPLES = ROOT / "examples"
TOOLS = ROOT / ".cache" / "bin"
