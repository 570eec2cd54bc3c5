# bc with long numbers.
# needs: bc
export BC_LINE_LENGTH=0
echo 'scale=800; 4*a(1); e(1); sqrt(2)' | bc -l
echo '3^4000 % 10^50; define f(n) { if (n < 2) return 1; return n * f(n - 1); } f(400)' | bc | cksum
