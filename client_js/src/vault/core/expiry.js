/** How long blocks live (VAULT §22). */

/** @param {number} nowMs @param {number} frameS @returns {number} the bucket of this time, without jitter */
export const bucketOf = (nowMs, frameS) => Math.floor(nowMs / 1000 / frameS);

/** The bucket that a client writes: a server that names a late one must not keep it from the next renewal. @param {{ bucket: number, frameS: number }} told @param {number} nowMs */
export const bucketToWrite = ({ bucket, frameS }, nowMs) => Math.min(bucket, bucketOf(nowMs, frameS));

/** Whether all blocks must be renewed. After a wrong clock, `renewed` can be too late. @param {number} renewed @param {number} bucket that of `bucketToWrite` */
export const isToRenew = (renewed, bucket) => renewed < bucket || renewed > bucket + 1;

/** Until when the server keeps all blocks, in ms since 1970. @param {number} renewed @param {number} frameS */
export const safeUntilMs = (renewed, frameS) => (renewed + 2) * frameS * 1000;

/** Whether the bucket of the server and this clock differ by more than one. @param {number} bucket @param {number} nowMs @param {number} frameS */
export const clocksDiffer = (bucket, nowMs, frameS) => Math.abs(bucket - bucketOf(nowMs, frameS)) > 1;
