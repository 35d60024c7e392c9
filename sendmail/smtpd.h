/* sendmail -bs: SMTP on standard input and output, as Symfony, Laravel and
 * Swift Mailer speak it with the sendmail that they start.
 *
 * Each message goes the way of one read with -t: the same completion of its
 * header, the same choice of account, the same pipe to one submit for all
 * of them. The reply to its end is the verdict: 250 when Microsoft took it or
 * it is in the queue, or Microsoft's code, the sentence and the hint. Standard
 * error stays empty but for -v while the session lasts, since nobody reads it.
 */
#ifndef SMTPD_H
#define SMTPD_H

#include <sys/types.h>

struct alias_file;
struct error;
struct handoff;
struct options;

/* All is kept by reference. */
struct smtpd_setup {
	const struct options *options;
	struct alias_file *aliases;	/* which bring the configuration */
	uid_t caller;
	struct handoff *handoff;	/* started */
};

/* Talk until the client leaves. 0 when all messages of the session were taken;
 * else the error of the last that was not, EX_TEMPFAIL when it left, or was
 * idle, within a message, and EX_IOERR. */
int	smtpd(const struct smtpd_setup *, struct error *);
/* Say why there is no service. */
void	smtpd_turn_away(const struct smtpd_setup *, const struct error *why);

#endif
