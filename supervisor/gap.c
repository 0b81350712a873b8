/*
 * supervisor/gap.c - histogram of the gaps between the beats of one link.
 *
 * Buckets: each power of two of milliseconds in four equal parts, so a bound is never more than a
 * quarter above the gap that it stands for. Pure; runs in mailpaird; nothing blocks.
 */
#include "supervisor/gap.h"

#include <assert.h>

#define PARTS 4

static uint64_t
bound_us(unsigned int bucket)
{
	if (bucket >= GAP_BUCKETS - 1)
		return UINT64_MAX;
	return ((uint64_t)(PARTS + bucket % PARTS) << (bucket / PARTS)) * (1000 / PARTS);
}

static unsigned int
bucket_of(uint64_t gap_us)
{
	unsigned int low = 0, high = GAP_BUCKETS - 1;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (gap_us <= bound_us(middle))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/*
 * A number that is not greater than the last one belongs to a new session of the peer: the time
 * between the two sessions is a restart, not a gap.
 */
void
gap_add(struct gap *gap, uint64_t now_us, uint64_t seq)
{
	if (gap->last_us != 0 && seq > gap->last_seq && now_us >= gap->last_us) {
		uint64_t us = now_us - gap->last_us;

		gap->bucket[bucket_of(us)]++;
		gap->count++;
		if (us > gap->max_us)
			gap->max_us = us;
		gap->lost += seq - gap->last_seq - 1;
	}
	gap->last_us = now_us;
	gap->last_seq = seq;
}

void
gap_pause(struct gap *gap)
{
	gap->last_us = 0;
}

uint64_t
gap_percentile_us(const struct gap *gap, unsigned int percent)
{
	/*
	 * rank of the gap asked for, from 1; counts far above any real one would overflow a product
	 */
	uint64_t rank = gap->count / 100 * percent + (gap->count % 100 * percent + 99) / 100;
	uint64_t seen = 0;

	assert(percent <= 100);
	if (gap->count == 0)
		return 0;
	for (unsigned int i = 0; i < GAP_BUCKETS; i++) {
		seen += gap->bucket[i];
		if (seen >= rank && seen > 0)
			return bound_us(i) < gap->max_us ? bound_us(i) : gap->max_us;
	}
	return gap->max_us;
}

uint64_t
gap_bucket_ms(unsigned int bucket)
{
	uint64_t us = bound_us(bucket);

	assert(bucket < GAP_BUCKETS);
	return us == UINT64_MAX ? UINT64_MAX : (us + 999) / 1000;
}
