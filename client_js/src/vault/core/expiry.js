/** How long blocks live (VAULT §22). */

/** @param {number} nowMs @param {number} frameS @returns {number} the bucket of this time, without jitter */
export const bucketOf = (nowMs, frameS) => Math.floor(nowMs / 1000 / frameS);

/** Until when the server keeps all blocks, in ms since 1970. @param {number} renewed @param {number} frameS */
export const safeUntilMs = (renewed, frameS) => (renewed + 2) * frameS * 1000;

/** Whether the bucket of the server and this clock differ by more than one. @param {number} bucket @param {number} nowMs @param {number} frameS */
export const clocksDiffer = (bucket, nowMs, frameS) => Math.abs(bucket - bucketOf(nowMs, frameS)) > 1;
