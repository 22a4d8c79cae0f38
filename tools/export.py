"""Export: ``python tools/export.py CONFIG CHECKPOINT --format onnx``."""

import sys

if __name__ == '__main__':
    try:
        from mmamp.export import main

        sys.exit(main())
    except KeyboardInterrupt:
        print('Interrupted before exporting began.', file=sys.stderr)
        sys.exit(130)
