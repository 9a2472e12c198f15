std = 'luajit'
read_globals = { 'vim' }
max_line_length = 100
-- Generated, and longer where the protocol is.
files['lua/codex/protocol.lua'] = { max_line_length = false }
files['lua'] = { globals = { 'vim.o', 'vim.bo', 'vim.wo', 'vim.g', 'vim.b', 'vim.opt', 'vim.v' } }
files['plugin'] = { globals = { 'vim.g' } }
files['tests'] = {
  globals = { 'vim', 'T', 'describe', 'it', 'before_each', 'after_each' },
}
