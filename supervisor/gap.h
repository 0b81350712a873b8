/*
 * supervisor/gap.h - how regularly beats come over one link: histogram of gaps. Pure.
 */
#ifndef SUPERVISOR_GAP_H
#define SUPERVISOR_GAP_H

#include <stdint.h>

#define GAP_BUCKETS 64		/* logarithmic: 4 per power of two, from 1 ms */

struct gap {
	uint64_t	bucket[GAP_BUCKETS];
	uint64_t	count, max_us, lost;	/* lost: sequence numbers that never came */
	uint64_t	last_us;		/* when the last beat came, 0 = none */
	uint64_t	last_seq;
};
void	 gap_add(struct gap *, uint64_t now_us, uint64_t seq);
/* We were not listening: count neither the next gap nor what was lost in it. */
void	 gap_pause(struct gap *);
/* Upper bound of the bucket that holds it, at most max_us; 0 when empty. */
uint64_t gap_percentile_us(const struct gap *, unsigned int percent);
/* Upper bound, rounded up, for the histogram in status; UINT64_MAX for the last, which has none. */
uint64_t gap_bucket_ms(unsigned int bucket);

#endif
