"""``python -m deduplab``."""

from deduplab.cli.main import main

if __name__ == "__main__":
    main()
