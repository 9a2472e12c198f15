-- Just the plugin, and nothing of the person's own: nvim --clean -u tests/minimal_init.lua

local root = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h:h')

vim.opt.runtimepath:prepend(root)
vim.opt.swapfile = false
vim.opt.shadafile = 'NONE'
vim.opt.termguicolors = true
-- Its log would be in a folder that is gone by then.
vim.lsp.set_log_level('off')
-- `-u` with `-l` leaves out what a start loads by itself.
vim.cmd.runtime({ 'plugin/codex.lua', bang = true })
