/* What `outpost status` has gathered: of each account, of the queue, and what
 * of it is worth a warning. status.c gathers, status_judge.c judges,
 * status_report.c writes it down for people and for programs.
 */
#ifndef STATUS_H
#define STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "account/config.h"
#include "base/error.h"
#include "queue/hold.h"
#include "queue/list.h"
#include "queue/throttle.h"

/* Days; a certificate wants somebody's time before it ends. */
#define STATUS_CERTIFICATE_WARN	30
#define STATUS_DAILY_WARN	80		/* per cent of `daily` */
#define STATUS_QUEUE_WARN	(4 * 3600)	/* seconds in the queue */
#define STATUS_DAY		86400

/* Exit codes of monitoring plugins. */
enum status_level {
	STATUS_OK,
	STATUS_WARNING,
	STATUS_CRITICAL,
	STATUS_UNKNOWN,
	STATUS_LEVELS,
};

/* Of what only the secrets' owner can read. */
enum status_secret {
	STATUS_NONE,		/* there is no such thing for this account */
	STATUS_UNSEEN,		/* not looked at for lack of rights */
	STATUS_BAD,		/* missing or broken: why says it */
	STATUS_GOOD,
};

struct status_secrets {
	enum status_secret sign_in;
	time_t last_used;
	enum status_secret certificate;
	time_t expires;
	struct error why;
};

struct status_account {
	const struct account *account;
	struct status_secrets secrets;
	bool token_known;
	time_t token_expires;	/* of the cached token; 0: none */
	bool hold_known;	/* and whether it is paused */
	bool on_hold;
	struct hold hold;
	bool hold_outdated;	/* the next message tries */
	bool paused;		/* the server could not be reached just now */
	struct error pause;
	bool usage_known;
	struct throttle_usage usage;
};

struct status_finding {
	enum status_level level;
	char text[ERROR_TEXT_SIZE];
	char hint[ERROR_HINT_SIZE];
};

struct status {
	const struct config *config;
	time_t now;
	struct status_account *accounts;	/* config->account_count */
	bool queue_known;
	struct error queue_error;
	struct queue_counts queue;
	bool disk_full;
	struct error disk_error;
	struct status_finding *findings;	/* gravest first */
	size_t finding_count;
	enum status_level level;
};

/* Fill findings and level. */
void	status_judge(struct status *);
/* Could nothing at all be read but the configuration? */
bool	status_is_blind(const struct status *);

void	status_show(const struct status *);
void	status_json(const struct status *);
/* Text exposition format 0.0.4. */
void	status_prometheus(const struct status *);
const char *status_level_name(enum status_level);

#endif
