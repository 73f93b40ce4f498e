export default {
  files: ['build/tests/**/*.test.js'],
  // Tests are real builds and real boots, on machines that may be slow.
  timeout: '5m',
  concurrency: 2,
};
