# z3 solves a queens puzzle and refutes an arithmetic claim.
# needs: z3
{
    for i in $(seq 1 10); do
        echo "(declare-const q$i Int) (assert (and (<= 1 q$i) (<= q$i 10)))"
    done
    for i in $(seq 1 10); do
        for j in $(seq $((i + 1)) 10); do
            echo "(assert (and (not (= q$i q$j)) (not (= (- q$i q$j) $((i - j))))"
            echo "(not (= (- q$i q$j) $((j - i))))))"
        done
    done
    echo '(check-sat) (get-value (q1 q2 q3 q4 q5 q6 q7 q8 q9 q10))'
} >queens.smt2
z3 queens.smt2
cat >claim.smt2 <<'END'
(declare-fun f (Int) Int)
(declare-const x Int)
(assert (forall ((y Int)) (> (f y) y)))
(assert (< (f x) x))
(check-sat)
END
z3 claim.smt2
