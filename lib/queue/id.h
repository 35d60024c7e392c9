/* Names of messages, as they stand in the log, in mailq and in file names:
 * the time of arrival in microseconds and what tells two of the same
 * microsecond apart, so that names sort by time. Letters and digits only, as
 * readers of Postfix's logs expect.
 */
#ifndef ID_H
#define ID_H

#include <stdint.h>
#include <time.h>

#define ID_SIZE 20		/* 19 characters and the NUL */

/* 'salt' is random, or the process id. */
void	id_make(char out[ID_SIZE], const struct timespec *now, uint32_t salt);

#endif
