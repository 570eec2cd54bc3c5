# php: its loaded extensions (dlopened deep-bound), arrays, strings, objects, regular expressions.
# needs: php
cat >script.php <<'END'
<?php
$names = get_loaded_extensions(); sort($names); echo implode(",", $names), "\n";
$a = [];
for ($i = 0; $i < 100000; $i++) {
    $k = "k" . ($i * 7919 % 20011);
    $a[$k] = ($a[$k] ?? "") . chr(97 + $i % 26);
}
ksort($a); echo count($a), " ", md5(serialize($a)), "\n";
$json = json_encode($a); echo strlen($json), " ", count(json_decode($json, true)), "\n";
class N { public $next; public $v; }
$list = null;
for ($i = 0; $i < 50000; $i++) {
    $n = new N;
    $n->next = $list;
    $n->v = str_repeat("z", $i % 100);
    $list = $n;
}
while ($list) { $list = $list->next; }
echo preg_replace('/(\d+)-(\w+)/', '$2-$1', "12-ab 34-cd"), "\n";
echo preg_match_all('/\d/', $json), "\n";
$s = "";
for ($i = 0; $i < 200000; $i++) { $s .= "0123456789"; }
echo strlen($s), " ", crc32($s), "\n";
usort($names, fn($x, $y) => strlen($x) <=> strlen($y) ?: strcmp($x, $y));
echo $names[0], "\n";
END
php script.php
USE_ZEND_ALLOC=0 php script.php
php -m
php -i >/dev/null && echo info
