-- The lines of a cell as they are put together, with what is highlighted in them. Pure.

local words = require('codex.chat.words')

local M = {}

---@class codex.chat.Chunk
---@field [1] string
---@field [2] string? highlight group
---@field code boolean? it is shown as code

---@class codex.chat.Block
---@field lines string[]
---@field spans {[1]: integer, [2]: integer, [3]: integer, [4]: string}[] line, columns, group

--- Of a line that is longer, only the beginning is shown.
M.MAX_LINE_BYTES = 1000

--- A line of several parts.
---@param block codex.chat.Block
---@param chunks codex.chat.Chunk[]
function M.head(block, chunks)
  local row, text = #block.lines, ''
  for _, chunk in ipairs(chunks) do
    local part = chunk.code and words.code(chunk[1]) or chunk[1]
    if chunk[2] then
      table.insert(block.spans, { row, #text, #text + #part, chunk[2] })
    end
    text = text .. part
  end
  table.insert(block.lines, text)
end

--- Lines, all of one highlight group if it is given.
---@param block codex.chat.Block
---@param lines string[]
---@param group string?
function M.add(block, lines, group)
  for _, line in ipairs(lines) do
    if group then
      table.insert(block.spans, { #block.lines, 0, #line, group })
    end
    table.insert(block.lines, line)
  end
end

--- A code block; of lines that are too long for a window, only the beginning.
---@param block codex.chat.Block
---@param language string
---@param lines string[]
---@param on_line fun(row: integer, line: string, index: integer)?
function M.fenced(block, language, lines, on_line)
  local fence = words.fence(lines)
  table.insert(block.lines, fence .. language)
  for i, line in ipairs(lines) do
    if #line > M.MAX_LINE_BYTES then
      line = line:sub(1, M.MAX_LINE_BYTES + vim.str_utf_start(line, M.MAX_LINE_BYTES + 1) - 1)
        .. ' …'
    end
    line = line:gsub('\n', ' ')
    if on_line then
      on_line(#block.lines, line, i)
    end
    table.insert(block.lines, line)
  end
  table.insert(block.lines, fence)
end

--- A quotation.
---@param block codex.chat.Block
---@param text string
---@param live boolean? more of it comes
function M.quoted(block, text, live)
  for _, line in ipairs(words.broken(live and words.begun(text) or words.trimmed(text))) do
    table.insert(block.lines, '> ' .. line)
  end
end

--- What stands for lines that are not shown.
---@param count integer
---@return string
function M.left_out(count)
  return ('… %s: <CR> shows all'):format(words.counted(count, 'more line'))
end

return M
