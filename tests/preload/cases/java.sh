# java: its version only.
# needs: java
java -version 2>&1 | sed -n 1p
