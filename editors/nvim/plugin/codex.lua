if vim.g.loaded_codex then
  return
end
vim.g.loaded_codex = true
require('codex.commands').define()
