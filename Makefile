# Every target is a command of start.py, which works without make too: "python start.py --help" lists them.
# Settings: make KO=1 (Korean), make CPU=1 or CUDA=1 (that build of PyTorch), make bench QUICK=1,
# make slides SESSION=2.

PYTHON ?= python3
COMMANDS := lessons setup lab edit slides style check test bench store lock kit handout collect links support

.PHONY: $(COMMANDS) clean
.DEFAULT_GOAL := lessons

$(COMMANDS):
	@$(PYTHON) start.py $@

clean:
	rm -rf build
