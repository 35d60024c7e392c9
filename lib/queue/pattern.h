/* Which messages a run of the queue is for: "Itext", "Rtext" and "Stext" are
 * those whose id, a recipient or the sender holds that text (addresses in any
 * case); "!" before it turns it round. That is what stands behind sendmail's
 * -q.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>

struct entry;

bool	pattern_valid(const char *text);
bool	pattern_matches(const char *pattern, const struct entry *);

#endif
