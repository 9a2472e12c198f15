local patch = require('codex.approval.patch')

local function lines(text)
  return vim.split(text, ' ')
end

--- A request that changes a text of words, a line each.
local function request(old, new, unified_diff)
  return {
    changes = { ['/p/a.txt'] = { update = { unified_diff = unified_diff } } },
    files = {
      ['/p/a.txt'] = {
        old_text = old:gsub(' ', '\n') .. '\n',
        new_text = new:gsub(' ', '\n') .. '\n',
      },
    },
  }
end

local OLD = 'a b c d e f g h i j k l'
local NEW = 'a B c d e f g h i J J k l'
local DIFF =
  '@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n@@ -7,6 +7,7 @@\n g\n h\n i\n-j\n+J\n+J\n k\n l\n'

local function pages()
  return patch.pages(request(OLD, NEW, DIFF))
end

local function answer(text)
  local all = pages()
  return patch.answer(all, { ['/p/a.txt'] = lines(text) })
end

describe('the answer to a patch', function()
  it('says nothing of files that stay as proposed', function()
    T.eq({ 'approved', {} }, { answer(NEW) })
  end)

  it('names the hunks that are left', function()
    T.eq(
      { 'approved', { hunks = { ['/p/a.txt'] = { 1 } } } },
      { answer('a b c d e f g h i J J k l') }
    )
    T.eq(
      { 'approved', { hunks = { ['/p/a.txt'] = { 0 } } } },
      { answer('a B c d e f g h i j k l') }
    )
  end)

  it('has the whole text if it is no choice of hunks', function()
    local decision, extra = answer('a B c d e f g h i J k l')
    T.eq('approved', decision)
    T.eq({ edited = { ['/p/a.txt'] = 'a\nB\nc\nd\ne\nf\ng\nh\ni\nJ\nk\nl\n' } }, extra)
  end)

  it('has the whole text if it was changed where the patch does not', function()
    local _, extra = answer('a B c d e F g h i J J k l')
    T.eq('a\nB\nc\nd\ne\nF\ng\nh\ni\nJ\nJ\nk\nl\n', extra.edited['/p/a.txt'])
  end)

  it('rejects the patch if nothing of it is left', function()
    T.eq({ 'denied', {} }, { answer(OLD) })
  end)

  it('leaves a new file out that has been emptied, and keeps one that was to be removed', function()
    local msg = {
      changes = {
        ['/p/new'] = { add = { content = 'x\n' } },
        ['/p/gone'] = 'delete',
        ['/p/z'] = { add = { content = 'z\n' } },
      },
      files = {
        ['/p/new'] = { new_text = 'x\n' },
        ['/p/gone'] = { old_text = 'y\n' },
        ['/p/z'] = { new_text = 'z\n' },
      },
    }
    local made = { ['/p/new'] = {}, ['/p/gone'] = { 'y' }, ['/p/z'] = { 'z' } }
    T.eq(
      { 'approved', { hunks = { ['/p/new'] = {}, ['/p/gone'] = {} } } },
      { patch.answer(patch.pages(msg), made) }
    )
  end)

  it('keeps the ends of lines of DOS, and a last line without an end', function()
    local msg = {
      changes = { ['/p/a'] = { update = { unified_diff = '@@ -1 +1 @@\n-a\r\n+b\r\n' } } },
      files = { ['/p/a'] = { old_text = 'a\r\n', new_text = 'b\r\n' } },
    }
    local all = patch.pages(msg)
    T.eq({ 'b' }, all[1].new)
    local _, extra = patch.answer(all, { ['/p/a'] = { 'b', 'c' } })
    T.eq('b\r\nc\r\n', extra.edited['/p/a'])
    msg.files['/p/a'] = { old_text = 'a\n', new_text = 'b' }
    _, extra = patch.answer(patch.pages(msg), { ['/p/a'] = { 'c' } })
    T.eq('c', extra.edited['/p/a'])
  end)

  it('does not lose files that are not shown', function()
    local msg = { changes = { ['/p/pic'] = { update = { unified_diff = '' } } }, files = {} }
    T.eq({ 'approved', {} }, { patch.answer(patch.pages(msg), {}) })
  end)
end)

describe('a part of a patch', function()
  local function parts(text)
    local page = pages()[1]
    return vim.tbl_map(function(span)
      local part = patch.locate(page, span, lines(text))
      return { part.first, part.last, part.state }
    end, page.spans)
  end

  it('is where the text has it, with lines added above', function()
    T.eq({ { 1, 2, 'taken' }, { 9, 11, 'taken' } }, parts(NEW))
    T.eq({ { 3, 4, 'taken' }, { 11, 13, 'taken' } }, parts('x y ' .. NEW))
  end)

  it('is known as left out, and as edited', function()
    T.eq({ { 1, 2, 'left out' }, { 9, 11, 'taken' } }, parts('a b c d e f g h i J J k l'))
    T.eq({ { 1, 3, 'edited' }, { 10, 12, 'taken' } }, parts('a B B c d e f g h i J J k l'))
  end)
end)
