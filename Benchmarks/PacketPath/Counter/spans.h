#ifndef SPANS_H
#define SPANS_H

#include "counter.h"

void note_allocation(void);
void note_free(void);
void enter_srtp(void);
void leave_srtp(void);

#endif
