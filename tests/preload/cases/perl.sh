# perl: hashes, sorting, regular expressions, string growth, closures.
# needs: perl
cat >script.pl <<'END'
use strict; use warnings;
my %h;
for my $i (0 .. 60000) {
    my $k = "key" . ($i * 7919 % 20011);
    $h{$k} .= chr(97 + $i % 26);
    $h{$k} = substr($h{$k}, -50);
}
print scalar(keys %h), " ", join(",", map { "$_=$h{$_}" } (sort keys %h)[100 .. 103]), "\n";
my $text = join(" ", map { "word$_" x ($_ % 5 + 1) } 1 .. 20000);
my $count = () = $text =~ /word(\d)\d*\1/g;
(my $copy = $text) =~ s/(\w+) (\w+)/$2 $1/g;
print length($text), " $count ", length($copy), " ", unpack("%32C*", $copy), "\n";
my @sorted = sort { $a <=> $b } map { $_ * 16807 % 65537 } 1 .. 50000;
print "$sorted[0] $sorted[-1] $sorted[25000]\n";
my @list = map { { id => $_, list => [1 .. $_ % 20] } } 1 .. 20000;
my @subs = map { my $n = $_; sub { $n + @{ $list[$n]{list} } } } 0 .. 999;
my $sum = 0; $sum += $_->() for @subs; print "$sum\n";
my $grow = ""; $grow .= "abcdefgh" for 1 .. 300000; print length($grow), "\n";
END
perl script.pl
