# The checksum programs of coreutils on a file of several megabytes.
# needs: sha256sum md5sum b2sum cksum seq
seq 1 700000 >data
sha256sum data
sha512sum data
md5sum data
b2sum data
cksum data
sha256sum data >sums
sha256sum -c sums
