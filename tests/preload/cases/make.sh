# make with pattern rules, functions and parallel jobs.
# needs: make
cat >Makefile <<'END'
names := $(foreach i,$(shell seq 1 60),target$(i).out)
all: $(names)
	@cat $(sort $(names)) | cksum
%.out: %.in
	@sed s/in/out/ $< >$@
%.in:
	@echo in $@ $(words $(names)) $(patsubst %.out,%,$(firstword $(names))) >$@
.SECONDARY:
END
make -s -j4
make -s -j4
make -n | sed -n 1,3p
make -p -n | grep -c target || true
