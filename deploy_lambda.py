"""Deploy WeAudit: `pip install -r requirements.txt`, then `python deploy_lambda.py --stage dev`.

It is `weaudit deploy`, with the same options (`python deploy_lambda.py --help`) and no installation of the package.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from weaudit.cli.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "deploy")
    main()
