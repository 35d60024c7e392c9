/* A message read from a descriptor: its header block collected, then handed
 * to 'begin'; its body passed on piece by piece in canonical form. Memory
 * stays flat. Nothing is read past the end of the message (EOF, or a lone
 * dot), and nothing before it counts.
 */
#ifndef INTAKE_H
#define INTAKE_H

#include <stdbool.h>

#include "mail/content.h"

struct error;

/* Read all of it into 'content', whose callbacks and flags are set. EX_IOERR
 * when reading fails, and what the callbacks say: then too the message has
 * been taken to its end, as intake_drain() takes it. */
int	intake_read(int fd, struct content *, struct error *);

/* After a failure before that: take what the caller still writes, so that it
 * is not killed by SIGPIPE before it can see why; at most INTAKE_DRAIN_MAX
 * bytes and not from a terminal. Without 'ignore_dots' a lone dot is the end,
 * since a caller that wrote one may wait for us now. */
#define INTAKE_DRAIN_MAX	(256ull * 1024 * 1024)
void	intake_drain(int fd, bool ignore_dots);

#endif
