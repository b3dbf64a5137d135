/* SPDX-License-Identifier: ISC */
/*
 * What a counter of the table is, without its window.
 */
#include "daemon/counting/table.h"

bool table_key(const struct counter_table *table, uint32_t slot,
	char memory[static COUNTER_SUBJECT_BYTES], struct counter_key *ret)
{
	const struct table_entry *entry;
	const struct series *series;

	if (slot >= table->high || !table->entries[slot].birth)
		return false;
	entry = &table->entries[slot];
	series = &table->series.items[entry->series];
	blocks_get(&table->blocks, entry->subject, memory, entry->subject_len);
	*ret = (struct counter_key){
		.rule = series_rule(&table->series, entry->series),
		.subject = slice_make(memory, entry->subject_len),
		.what = (enum counter_what)series->what,
		.window_ms = series->window_ms,
	};
	return true;
}

void table_know_series(struct counter_table *table, const struct counter_key *key)
{
	uint16_t number = series_get(&table->series, key, series_rule_id(key->rule));

	if (number != SERIES_NONE)
		table->series.items[number].counters++;
}
