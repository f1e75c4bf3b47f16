"""`torchrun --nproc_per_node N -m kgrec.training ...`: training by several processes."""

from kgrec.stages.parallel import main
from kgrec.training.workers import leave

if __name__ == "__main__":
    main()
    leave()
