# perl: forks with pipes, and interpreter threads where perl has them.
# needs: perl
cat >script.pl <<'END'
use strict; use warnings; use Config;
my %keep = map { $_ => "x" x $_ } 1 .. 500;
for my $i (1 .. 30) {
    pipe(my $in, my $out) or die;
    my $child = fork // die;
    if (!$child) {
        delete $keep{$_} for 1 .. 250;
        print $out scalar(keys %keep) + $i;
        close $out;
        exit 0;
    }
    close $out;
    my $answer = <$in>;
    waitpid($child, 0);
    die "child $i: $?" if $? || $answer != 250 + $i;
}
print "forks done\n";
if ($Config{useithreads}) {
    require threads;
    sub count { my %h = map { $_ => $_ x 10 } 1 .. $_[0] * 100; return scalar keys %h; }
    my @threads = map { threads->create(\&count, $_) } 1 .. 8;
    my $sum = 0;
    $sum += $_->join for @threads;
    print "$sum\n";
}
print `echo from a shell`;
END
perl script.pl
