# ghostscript renders generated PostScript to a bitmap and to PDF.
# needs: gs
{
    echo '%!PS'
    echo '/Helvetica findfont 12 scalefont setfont'
    for i in $(seq 1 300); do
        echo "$((i % 500 + 20)) $((i * 7 % 700 + 20)) moveto (text $i) show"
        echo "newpath $((i % 500)) $((i * 3 % 700)) $((i % 40 + 5)) 0 360 arc"
        echo "0.$((i % 10)) setgray fill"
    done
    echo showpage
} >page.ps
gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=ppmraw -r72 -sOutputFile=page.ppm page.ps
cksum <page.ppm
gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=pdfwrite -sOutputFile=page.pdf page.ps
gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=pgmraw -r36 -sOutputFile=small.pgm page.pdf
cksum <small.pgm
