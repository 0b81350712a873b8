/*
 * configsync/wire_form.h - for wire.c and wire_parse.c: what both sides of a message have to agree on beside its order. Pure.
 */
#ifndef CONFIGSYNC_WIRE_FORM_H
#define CONFIGSYNC_WIRE_FORM_H

#include "configsync/wire.h"

enum wire_flag { FIRST = 1, LAST = 2, MORE = 1, ASK = 1, WITH_ENTRY = 1, WITH_CONTENT = 2, CUT = 1, ROWS_KNOWN = 1 };

#endif
