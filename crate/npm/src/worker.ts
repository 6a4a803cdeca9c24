/** The worker's module: one file for both kinds, told apart by what is asked of them. */
import { encoderHandlers } from './encoder-worker.js';
import { indexHandlers } from './index-worker.js';
import { serve } from './rpc.js';

serve({ ...encoderHandlers, ...indexHandlers });
