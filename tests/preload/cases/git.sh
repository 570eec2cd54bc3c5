# git: commits, branches, merges, log, gc and a clone of a fresh repository.
# needs: git
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=c
export GIT_COMMITTER_EMAIL=c@example.org GIT_AUTHOR_DATE='1700000000 +0000'
export GIT_COMMITTER_DATE='1700000000 +0000'
git init -q -b trunk repository
cd repository || exit
for i in $(seq 1 30); do
    seq 1 $((i * 300)) >"file$((i % 6))"
    git add .
    git commit -q -m "change $i"
done
git checkout -q -b side HEAD~5
echo side >only
git add only
git commit -q -m side
git checkout -q trunk
git merge -q -m merge side
git log --oneline --graph --stat | cksum
git gc -q --aggressive
git fsck --strict
git clone -q . ../clone
git -C ../clone log -n 3 --format='%H %s'
git grep -c 29 | sort
git blame file3 | cksum
git diff --stat HEAD~10
