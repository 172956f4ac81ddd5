// The shapes that the modules share. Nothing here runs.

/**
 * What `cxrScan.index` is called with: columns of all rows, in order of need. Confidence and focus
 * are thousandths, -1 where there is none; flags are bits, reason, status and group are positions.
 * @typedef {object} IndexFile
 * @property {number} format
 * @property {string} run what decisions are kept under
 * @property {string} rendering of which report this is the index; its details say the same
 * @property {string} model
 * @property {number} total
 * @property {number} chunk rows to a file of details
 * @property {string[]} classes
 * @property {string[]} groups the classes, and "uncertain" where there is such a prediction
 * @property {string[]} statuses
 * @property {[string, string][]} flags slug and words
 * @property {[string, string][]} reasons slug and words
 * @property {[string, string, number, number][]} needs slug, words, first row, how many
 * @property {{path: string[], status: number[], group: number[], confidence: number[],
 *   focus: number[], flags: number[], reason: number[], patient: string[], sha: string[]}} columns
 */

/**
 * What a file of details holds of one row.
 * @typedef {object} Detail
 * @property {string} sha256
 * @property {string[] | null} pictures radiograph, and overlay if the row was judged
 * @property {string | null} detail the radiograph at full size, if the scan kept it
 * @property {string} best
 * @property {string[]} set
 * @property {boolean} uncertain
 * @property {[string, number][]} probabilities
 * @property {string[]} trust
 * @property {string} facts
 * @property {string} detailText
 * @property {boolean} camEmpty
 * @property {string} patient
 */

/**
 * What is shown and how: all of it stands in location.hash. Ranges are per cent.
 * @typedef {object} View
 * @property {string} layout `cards` or `table`
 * @property {string} sort a key of SORTS
 * @property {string} need slug of a group of the worklist
 * @property {string} group
 * @property {string} status
 * @property {string} mark `f:<flag>` or `r:<reason>`
 * @property {string} review `yes`, `no`, `agree` or `disagree`
 * @property {string} q words to find
 * @property {string} conf `from-to`
 * @property {string} focus `from-to`
 * @property {string} row the current row
 * @property {string} open `1` while it is shown in full
 * @property {string} part which part of a list too long for one page, from 1
 */

/**
 * What a reader said of one row.
 * @typedef {object} Decision
 * @property {string} decision a class, `unclear`, or empty: none was named
 * @property {string} agrees `yes`, `no`, or empty: only a note
 * @property {string} reviewer
 * @property {string} at ISO 8601, UTC
 * @property {number} seconds time spent on the row
 * @property {string} note
 * @property {string} sha256
 */
