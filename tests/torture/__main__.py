import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))      # for oracles

from torture.run import main

if __name__ == "__main__":
    main()
