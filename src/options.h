/* options.h: the HAKMEM_* variables, read once.
 *
 * Owns:      the values. The one table is options.def.
 * Knows not: what an option does.
 * Threads:   written by hak_options_read() before a second thread can exist; const afterwards.
 */
#ifndef HAK_OPTIONS_H
#define HAK_OPTIONS_H

#include "base.h"

#define OPTION(name, variable, standard, low, high, help) unsigned name;
typedef struct {
#include "options.def"
    char stats_file[256]; /* HAKMEM_STATS_FILE, empty when not set */
} hak_options_t;
#undef OPTION

extern hak_options_t hak_options;

/* A value that is no number or out of range is warned about, with the range, and changes
 * nothing; so is an unknown HAKMEM_ name. Nothing is read when secure. */
void hak_options_read(bool secure);
void hak_options_print(int fd);

#endif
